# The Python extension module norch._C.
execute_process(COMMAND "${Python_EXECUTABLE}" -m nanobind --cmake_dir
  OUTPUT_VARIABLE nanobind_ROOT OUTPUT_STRIP_TRAILING_WHITESPACE RESULT_VARIABLE status)
if(NOT status EQUAL 0)
  message(FATAL_ERROR "NORCH_PYTHON needs nanobind: 'pip install nanobind' into ${Python_EXECUTABLE}'s environment.")
endif()
find_package(nanobind CONFIG REQUIRED)

set(package_dir "${PROJECT_SOURCE_DIR}/python/norch")
file(GLOB binding_sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/python/src/*.cpp")

# The rows of bindings are compiled for size, nanobind's default: they are long, and most of their code runs once, at the
# import. nanobind's own part, which every call goes through, and what is written against CPython's interface, are not.
nanobind_add_module(_C NB_STATIC NB_DOMAIN norch ${binding_sources})
foreach(name IN ITEMS bound_functions from_python indexing number_slots overrides tensor_type value_types)
  set_source_files_properties("${PROJECT_SOURCE_DIR}/python/src/${name}.cpp"
    PROPERTIES COMPILE_OPTIONS -O3 SKIP_PRECOMPILE_HEADERS ON)
endforeach()
set_target_properties(nanobind-static PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 0)
# Warnings are for norch's own code.
get_target_property(nanobind_includes nanobind-static INTERFACE_INCLUDE_DIRECTORIES)
target_include_directories(_C SYSTEM PRIVATE ${nanobind_includes})
target_include_directories(_C PRIVATE "${PROJECT_SOURCE_DIR}/python/src")
target_link_libraries(_C PRIVATE norch norch_private norch_warnings)
norch_precompile(_C bind.h norch/ops.h)
if(NORCH_WITH_CUDA)  # norch.version.cuda
  set_source_files_properties("${PROJECT_SOURCE_DIR}/python/src/compat.cpp"
    PROPERTIES COMPILE_DEFINITIONS "NORCH_CUDA_TOOLKIT=\"${CMAKE_CUDA_COMPILER_VERSION}\"")
endif()
set(exports "${PROJECT_SOURCE_DIR}/cmake/exports_python.map")
target_link_options(_C PRIVATE "-Wl,--version-script=${exports}")
set_target_properties(_C PROPERTIES INSTALL_RPATH "$ORIGIN/${CMAKE_INSTALL_LIBDIR}" LINK_DEPENDS "${exports}")
if(NORCH_IS_WHEEL)
  install(TARGETS _C LIBRARY DESTINATION .)
else()
  # A developer's build puts the module into the source tree: PYTHONPATH=python runs it.
  set_target_properties(_C PROPERTIES LIBRARY_OUTPUT_DIRECTORY "${package_dir}")
endif()

if(NORCH_STUBS)
  # The generator imports the whole package, so it is put together in the build tree.
  set(staging "${PROJECT_BINARY_DIR}/staging")
  set(stubs "${PROJECT_BINARY_DIR}/stubs/_C")
  set(generator "${PROJECT_SOURCE_DIR}/cmake/generate_stubs.py")
  file(GLOB_RECURSE python_sources CONFIGURE_DEPENDS "${package_dir}/*.py")
  add_custom_command(OUTPUT "${stubs}/__init__.pyi"
    COMMAND ${CMAKE_COMMAND} -E remove_directory "${staging}"
    COMMAND ${CMAKE_COMMAND} -E copy_directory "${package_dir}" "${staging}/norch"
    COMMAND ${CMAKE_COMMAND} -E copy $<TARGET_FILE:_C> "${staging}/norch"
    COMMAND ${CMAKE_COMMAND} -E env "PYTHONPATH=${staging}" PYTHONDONTWRITEBYTECODE=1
      "${Python_EXECUTABLE}" "${generator}" "${stubs}"
    DEPENDS _C "${generator}" ${python_sources}
    COMMENT "Generating type stubs" VERBATIM)
  add_custom_target(norch_stubs ALL DEPENDS "${stubs}/__init__.pyi")
  if(NORCH_IS_WHEEL)
    install(DIRECTORY "${stubs}" DESTINATION . FILES_MATCHING PATTERN "*.pyi")
  endif()
endif()
