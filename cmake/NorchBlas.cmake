# norch_blas: the library that has cblas_sgemm and its relatives.
#   WHEEL   OpenBLAS from the PyPI package scipy-openblas32. Its symbols begin with scipy_, and it is copied beside
#           libnorch when installing, so that the installed package needs nothing else.
#   SYSTEM  any CBLAS that CMake finds (Debian: libopenblas-dev).
include(CheckFunctionExists)
include(CMakePushCheckState)

add_library(norch_blas INTERFACE)
set(NORCH_BLAS_BUNDLE "")  # the library, and its licence if the package has it
set(NORCH_BLAS_SUMMARY "")

function(norch_blas_from_system)
  # In this order, unless the user chose with BLA_VENDOR.
  if(BLA_VENDOR)
    find_package(BLAS QUIET)
  else()
    foreach(BLA_VENDOR IN ITEMS OpenBLAS Intel10_64lp FLAME Generic)
      find_package(BLAS QUIET)
      if(BLAS_FOUND)
        break()
      endif()
    endforeach()
  endif()
  if(NOT BLAS_FOUND)
    return()
  endif()
  # Some distributions keep the C interface in a library of its own.
  foreach(candidate IN ITEMS "" cblas)
    set(libraries ${BLAS_LIBRARIES})
    if(candidate)
      find_library(NORCH_CBLAS_LIBRARY ${candidate})
      mark_as_advanced(NORCH_CBLAS_LIBRARY)
      if(NOT NORCH_CBLAS_LIBRARY)
        continue()
      endif()
      list(INSERT libraries 0 "${NORCH_CBLAS_LIBRARY}")
    endif()
    cmake_push_check_state(RESET)
    set(CMAKE_REQUIRED_LIBRARIES ${libraries})
    check_function_exists(cblas_sgemm NORCH_BLAS_HAS_CBLAS_${candidate})
    check_function_exists(openblas_set_num_threads NORCH_BLAS_IS_OPENBLAS_${candidate})
    cmake_pop_check_state()
    if(NORCH_BLAS_HAS_CBLAS_${candidate})
      target_link_libraries(norch_blas INTERFACE ${libraries})
      if(NORCH_BLAS_IS_OPENBLAS_${candidate})
        target_compile_definitions(norch_blas INTERFACE NORCH_BLAS_OPENBLAS=1)
      endif()
      list(GET libraries 0 first)
      set(NORCH_BLAS_SUMMARY "${first}" PARENT_SCOPE)
      return()
    endif()
  endforeach()
endfunction()

function(norch_blas_from_wheel)
  if(NOT Python_Interpreter_FOUND)
    return()
  endif()
  execute_process(
    COMMAND "${Python_EXECUTABLE}" -c
      "import importlib.metadata as m, scipy_openblas32 as b; \
print(b.get_lib_dir() + '/' + b.get_library(fullname=True)); \
print(*[f.locate() for f in m.files('scipy-openblas32') if f.name.startswith('LICENSE')][:1])"
    OUTPUT_VARIABLE paths OUTPUT_STRIP_TRAILING_WHITESPACE RESULT_VARIABLE status ERROR_QUIET)
  if(NOT status EQUAL 0)
    return()
  endif()
  string(REGEX MATCHALL "[^\n]+" paths "${paths}")
  list(GET paths 0 library)
  target_link_libraries(norch_blas INTERFACE "${library}")
  target_compile_definitions(norch_blas INTERFACE NORCH_BLAS_PREFIX=scipy_ NORCH_BLAS_OPENBLAS=1)
  set(NORCH_BLAS_BUNDLE ${paths} PARENT_SCOPE)
  set(NORCH_BLAS_SUMMARY "${library}" PARENT_SCOPE)
endfunction()

# A wheel must carry its BLAS; elsewhere the system's own is preferred.
if(NORCH_BLAS STREQUAL "WHEEL" OR NORCH_IS_WHEEL)
  norch_blas_from_wheel()
elseif(NORCH_BLAS STREQUAL "SYSTEM")
  norch_blas_from_system()
else()
  norch_blas_from_system()
  if(NOT NORCH_BLAS_SUMMARY)
    norch_blas_from_wheel()
  endif()
endif()
if(NOT NORCH_BLAS_SUMMARY)
  message(FATAL_ERROR "No BLAS was found (NORCH_BLAS=${NORCH_BLAS}). Install one: 'apt-get install libopenblas-dev' "
    "(or your system's OpenBLAS), or 'pip install scipy-openblas32' and point -DPython_EXECUTABLE at that Python.")
endif()
