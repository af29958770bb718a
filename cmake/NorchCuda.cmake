# Whether CUDA is built (NORCH_WITH_CUDA), and what it is built with (the target norch_cuda): the compiler, its static
# runtime, and the headers of the libraries that are opened at run time.
include(CheckLanguage)

# The compute capabilities of this machine's GPUs as CMake writes architectures ("90"), or empty.
function(norch_present_gpus out)
  set(${out} "" PARENT_SCOPE)
  find_program(NORCH_NVIDIA_SMI nvidia-smi)
  mark_as_advanced(NORCH_NVIDIA_SMI)
  if(NOT NORCH_NVIDIA_SMI)
    return()
  endif()
  execute_process(
    COMMAND "${NORCH_NVIDIA_SMI}" --query-gpu=compute_cap --format=csv,noheader
    OUTPUT_VARIABLE capabilities RESULT_VARIABLE status ERROR_QUIET)
  if(NOT status EQUAL 0)
    return()
  endif()
  string(REGEX MATCHALL "[0-9]+\\.[0-9]+" capabilities "${capabilities}")
  string(REPLACE "." "" capabilities "${capabilities}")
  list(REMOVE_DUPLICATES capabilities)
  set(${out} "${capabilities}" PARENT_SCOPE)
endfunction()

# Gives up on CUDA for the reason in the arguments: an error with NORCH_CUDA=ON, a remark with AUTO.
macro(norch_no_cuda)
  string(CONCAT reason ${ARGN})
  if(NOT NORCH_CUDA STREQUAL "AUTO")
    message(FATAL_ERROR "NORCH_CUDA=${NORCH_CUDA}, but ${reason}")
  endif()
  set(NORCH_WITH_CUDA OFF)
  set(NORCH_CUDA_SUMMARY "off (${reason})")
endmacro()

set(NORCH_WITH_CUDA OFF)
set(NORCH_CUDA_SUMMARY "off")
if(NORCH_CUDA)
  set(NORCH_WITH_CUDA ON)
  norch_present_gpus(gpus)
  check_language(CUDA)
  if(NOT CMAKE_CUDA_COMPILER)
    norch_no_cuda("no CUDA compiler was found: install the CUDA toolkit, 11.0 or newer, or set CMAKE_CUDA_COMPILER")
  elseif(NOT gpus AND NORCH_CUDA STREQUAL "AUTO")
    norch_no_cuda("there is a CUDA compiler but no GPU (NORCH_CUDA=ON builds the kernels anyway)")
  endif()
endif()
if(NOT NORCH_WITH_CUDA)
  return()
endif()

if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
  # A plain number compiles for that GPU and as PTX, so that later GPUs can run it too.
  if(NOT gpus)
    set(gpus 90)
  endif()
  set(CMAKE_CUDA_ARCHITECTURES "${gpus}" CACHE STRING "CUDA architectures")
endif()
enable_language(CUDA)
set(CMAKE_CUDA_STANDARD 17)
set(CMAKE_CUDA_STANDARD_REQUIRED ON)
set(CMAKE_CUDA_RUNTIME_LIBRARY Static)

# Headers and runtime are those of the compiler's own toolkit, wherever that lies; FindCUDAToolkit can pick another.
set(toolkit_includes ${CMAKE_CUDA_TOOLKIT_INCLUDE_DIRECTORIES})
find_library(NORCH_CUDART_STATIC cudart_static HINTS ${CMAKE_CUDA_IMPLICIT_LINK_DIRECTORIES})

# cuBLASLt, cuDNN and NCCL are opened when first used, so only their headers are needed: NVIDIA's pip packages have
# them, or the system.
set(pip_includes "")
if(Python_Interpreter_FOUND)
  execute_process(
    COMMAND "${Python_EXECUTABLE}" -c "import sysconfig; print(sysconfig.get_path('platlib'))"
    OUTPUT_VARIABLE site_packages OUTPUT_STRIP_TRAILING_WHITESPACE)
  file(GLOB pip_includes "${site_packages}/nvidia/*/include")
endif()
find_path(NORCH_CUBLASLT_INCLUDE cublasLt.h HINTS ${pip_includes} ${toolkit_includes})
find_path(NORCH_CUDNN_INCLUDE cudnn.h HINTS ${pip_includes} ${toolkit_includes})
find_path(NORCH_NCCL_INCLUDE nccl.h HINTS ${pip_includes} ${toolkit_includes})
# CUPTI tells when kernels ran (norch.profiler). Some toolkits keep it apart.
find_path(NORCH_CUPTI_INCLUDE cupti.h HINTS ${toolkit_includes} ${pip_includes} PATH_SUFFIXES ../extras/CUPTI/include)
mark_as_advanced(NORCH_CUDART_STATIC NORCH_CUBLASLT_INCLUDE NORCH_CUDNN_INCLUDE NORCH_NCCL_INCLUDE NORCH_CUPTI_INCLUDE)

if(CMAKE_CUDA_COMPILER_VERSION VERSION_LESS 11.0)
  norch_no_cuda("CUDA ${CMAKE_CUDA_COMPILER_VERSION} is too old: 11.0 or newer is needed")
elseif(NOT NORCH_CUDART_STATIC)
  norch_no_cuda("libcudart_static.a was not found in the toolkit of ${CMAKE_CUDA_COMPILER}")
elseif(NOT NORCH_CUBLASLT_INCLUDE)
  norch_no_cuda("cublasLt.h was not found: install the toolkit's cuBLAS headers, or 'pip install nvidia-cublas' (for "
    "CUDA 12: nvidia-cublas-cu12) into the environment of ${Python_EXECUTABLE}")
endif()
if(NOT NORCH_WITH_CUDA)
  return()
endif()

add_library(norch_cuda INTERFACE)
target_link_libraries(norch_cuda INTERFACE ${NORCH_CUDART_STATIC} ${CMAKE_DL_LIBS} pthread rt)
set(cuda_flags --expt-relaxed-constexpr --extended-lambda)
if(NORCH_WERROR)
  list(APPEND cuda_flags --Werror=all-warnings)
endif()
target_compile_options(norch_cuda INTERFACE $<$<COMPILE_LANGUAGE:CUDA>:${cuda_flags}>)

# The headers are linked into one folder of the build tree, since a pip package's own folder can hold the toolkit
# headers of another CUDA release beside them.
set(header_dir "${PROJECT_BINARY_DIR}/cuda_headers")
file(MAKE_DIRECTORY "${header_dir}")
target_include_directories(norch_cuda SYSTEM INTERFACE "${header_dir}" ${toolkit_includes})
foreach(library IN ITEMS CUBLASLT:cublas CUDNN:cudnn NCCL:nccl CUPTI:cupti)
  string(REGEX REPLACE ":.*" "" name "${library}")
  string(REGEX REPLACE ".*:" "" stem "${library}")
  if(NORCH_${name}_INCLUDE)
    file(GLOB headers "${NORCH_${name}_INCLUDE}/${stem}*.h")
    foreach(header IN LISTS headers)
      get_filename_component(leaf "${header}" NAME)
      file(CREATE_LINK "${header}" "${header_dir}/${leaf}" COPY_ON_ERROR SYMBOLIC)
    endforeach()
    target_compile_definitions(norch_cuda INTERFACE NORCH_HAVE_${name}_H=1)
  endif()
endforeach()
# CUPTI's file is numbered as the toolkit.
if(CMAKE_CUDA_COMPILER_VERSION VERSION_LESS 12.0)
  string(REGEX MATCH "^[0-9]+\\.[0-9]+" toolkit_release "${CMAKE_CUDA_COMPILER_VERSION}")
else()
  string(REGEX MATCH "^[0-9]+" toolkit_release "${CMAKE_CUDA_COMPILER_VERSION}")
endif()
target_compile_definitions(norch_cuda INTERFACE "NORCH_CUPTI_FILE=\"libcupti.so.${toolkit_release}\"")
# Hopper's products of a warpgroup are not in its plain architecture 90, but in 90a. Where 90 is asked for, the few files
# that use them are compiled for 90a (NorchLibrary.cmake).
set(NORCH_CUDA_SM90A OFF)
if(CMAKE_CUDA_ARCHITECTURES MATCHES "(^|;)90a?(-real|;|$)" AND CMAKE_CUDA_COMPILER_VERSION VERSION_GREATER_EQUAL 12.0)
  set(NORCH_CUDA_SM90A ON)
endif()
set(NORCH_CUDA_SUMMARY "on (${CMAKE_CUDA_ARCHITECTURES})")
