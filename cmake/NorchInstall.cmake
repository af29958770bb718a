# What is installed: the library with its BLAS, the public headers, and the package file for find_package(norch).
include(CMakePackageConfigHelpers)

set(config_dir "${CMAKE_INSTALL_LIBDIR}/cmake/norch")

install(TARGETS norch EXPORT norchTargets LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}")
install(DIRECTORY "${PROJECT_SOURCE_DIR}/libnorch/include/norch" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}"
  FILES_MATCHING PATTERN "*.h")
if(NORCH_BLAS_BUNDLE)
  list(GET NORCH_BLAS_BUNDLE 0 library)
  install(PROGRAMS "${library}" DESTINATION "${CMAKE_INSTALL_LIBDIR}")
  foreach(licence IN LISTS NORCH_BLAS_BUNDLE)
    if(NOT licence STREQUAL library)
      install(FILES "${licence}" DESTINATION "${CMAKE_INSTALL_LIBDIR}" RENAME LICENSE.openblas.txt)
    endif()
  endforeach()
endif()

configure_package_config_file("${PROJECT_SOURCE_DIR}/cmake/norchConfig.cmake.in"
  "${PROJECT_BINARY_DIR}/norchConfig.cmake" INSTALL_DESTINATION "${config_dir}")
# Before 1.0 a minor release may change the interface.
write_basic_package_version_file("${PROJECT_BINARY_DIR}/norchConfigVersion.cmake" COMPATIBILITY SameMinorVersion)
install(EXPORT norchTargets NAMESPACE norch:: DESTINATION "${config_dir}")
install(FILES "${PROJECT_BINARY_DIR}/norchConfig.cmake" "${PROJECT_BINARY_DIR}/norchConfigVersion.cmake"
  DESTINATION "${config_dir}")
