# CUDA: the compiler, the static runtime, and the headers of the libraries that are loaded at run time.
enable_language(CUDA)
set(CMAKE_CUDA_STANDARD 17)
set(CMAKE_CUDA_STANDARD_REQUIRED ON)
set(CMAKE_CUDA_RUNTIME_LIBRARY Static)
if(CMAKE_CUDA_COMPILER_VERSION VERSION_LESS 11.0)
  message(FATAL_ERROR "CUDA ${CMAKE_CUDA_COMPILER_VERSION} is too old: norch needs 11.0 or newer.")
endif()

# Headers and runtime of the compiler's own toolkit, wherever that lies (FindCUDAToolkit can pick another).
set(toolkit_includes ${CMAKE_CUDA_TOOLKIT_INCLUDE_DIRECTORIES})
find_library(NORCH_CUDART_STATIC cudart_static HINTS ${CMAKE_CUDA_IMPLICIT_LINK_DIRECTORIES})
mark_as_advanced(NORCH_CUDART_STATIC)
if(NOT NORCH_CUDART_STATIC)
  message(FATAL_ERROR "CUDA is on, but libcudart_static.a was not found beside ${CMAKE_CUDA_COMPILER}.")
endif()

add_library(norch_cuda INTERFACE)
target_link_libraries(norch_cuda INTERFACE ${NORCH_CUDART_STATIC} Threads::Threads ${CMAKE_DL_LIBS} rt)
set(cuda_flags --expt-relaxed-constexpr --extended-lambda)
if(NORCH_WERROR)
  list(APPEND cuda_flags --Werror=all-warnings)
endif()
target_compile_options(norch_cuda INTERFACE $<$<COMPILE_LANGUAGE:CUDA>:${cuda_flags}>)

# cuBLASLt, cuDNN and NCCL are opened when first used, so only their headers are needed here: NVIDIA's pip packages
# have them, or the system. They are linked into one folder of the build tree because a pip package's own folder can
# hold the headers of another CUDA release beside them.
set(NORCH_CUDA_HEADERS "${PROJECT_BINARY_DIR}/cuda_headers")
file(MAKE_DIRECTORY "${NORCH_CUDA_HEADERS}")
target_include_directories(norch_cuda SYSTEM INTERFACE "${NORCH_CUDA_HEADERS}" ${toolkit_includes})

set(pip_includes "")
if(Python_Interpreter_FOUND)
  execute_process(
    COMMAND "${Python_EXECUTABLE}" -c "import sysconfig; print(sysconfig.get_path('platlib'))"
    OUTPUT_VARIABLE site_packages OUTPUT_STRIP_TRAILING_WHITESPACE)
  file(GLOB pip_includes "${site_packages}/nvidia/*/include")
endif()

# norch_cuda_header(NAME header pattern): finds `header`, links every header of its folder that matches `pattern`.
function(norch_cuda_header name header pattern)
  find_path(NORCH_${name}_INCLUDE ${header} HINTS ${pip_includes} ${toolkit_includes})
  mark_as_advanced(NORCH_${name}_INCLUDE)
  if(NOT NORCH_${name}_INCLUDE)
    return()
  endif()
  file(GLOB headers "${NORCH_${name}_INCLUDE}/${pattern}")
  foreach(path IN LISTS headers)
    get_filename_component(leaf "${path}" NAME)
    file(CREATE_LINK "${path}" "${NORCH_CUDA_HEADERS}/${leaf}" COPY_ON_ERROR SYMBOLIC)
  endforeach()
  target_compile_definitions(norch_private INTERFACE NORCH_HAVE_${name}_H=1)
endfunction()

norch_cuda_header(CUBLASLT cublasLt.h "cublas*.h")
norch_cuda_header(CUDNN cudnn.h "cudnn*.h")
norch_cuda_header(NCCL nccl.h "nccl*.h")
if(NOT NORCH_CUBLASLT_INCLUDE)
  message(FATAL_ERROR "CUDA is on, but cublasLt.h was not found. Install the CUDA toolkit's cuBLAS headers, or "
    "'pip install nvidia-cublas' (for CUDA 12: nvidia-cublas-cu12) into ${Python_EXECUTABLE}'s environment.")
endif()
