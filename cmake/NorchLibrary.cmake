# libnorch: object libraries, one shared library made of them, and the same objects once more for the C++ tests.
set(src "${PROJECT_SOURCE_DIR}/libnorch/src")

file(GLOB core_sources CONFIGURE_DEPENDS
  "${src}/core/*.cpp" "${src}/autograd/*.cpp" "${src}/ops/*.cpp" "${src}/io/*.cpp" "${src}/kernels/*.cpp")
file(GLOB cpu_sources CONFIGURE_DEPENDS "${src}/kernels/cpu/*.cpp")
if(NORCH_KERNEL_SOURCES_CPU)
  list(REMOVE_ITEM cpu_sources ${NORCH_KERNEL_SOURCES_CPU})
endif()

# Objects are linked in the order of the calls below: everything compiled for any machine first, then the wider
# instruction sets. An inline function that several of them emit therefore resolves to a copy that every machine can
# run.
set(norch_objects "")
function(norch_add_objects name)
  if(NOT ARGN)
    return()
  endif()
  add_library(${name} OBJECT ${ARGN})
  target_link_libraries(${name} PRIVATE norch_private norch_warnings norch_blas)
  target_compile_definitions(${name} PRIVATE NORCH_BUILDING=1)
  # Thread-local variables (grad mode, block cache, current stream) are read several times per operation. In this model
  # that is one instruction instead of a call; a library opened with dlopen() may have some hundred bytes of them. The
  # static CUDA runtime alone has thousands, so a library with CUDA can't be built that way: Python could not load it.
  if(NOT NORCH_WITH_CUDA)
    target_compile_options(${name} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-ftls-model=initial-exec>)
  endif()
  set(norch_objects ${norch_objects} $<TARGET_OBJECTS:${name}> PARENT_SCOPE)
endfunction()

norch_add_objects(norch_core ${core_sources})
norch_precompile(norch_core <algorithm> <cmath> <functional> <mutex> <string> <unordered_map> <vector>
  autograd/record.h core/factory.h norch/ops.h ops/elementwise.h)
set(kernel_headers <algorithm> <cmath> <memory> <vector> core/factory.h kernels/cpu/parallel.h kernels/dispatch.h
  kernels/kernel.h)
norch_add_objects(norch_cpu_common ${cpu_sources})
if(TARGET norch_cpu_common)
  target_compile_options(norch_cpu_common PRIVATE ${NORCH_KERNEL_FLAGS})
  norch_precompile(norch_cpu_common ${kernel_headers})
endif()
foreach(isa IN ITEMS baseline avx2 avx512)
  if(isa IN_LIST NORCH_CPU_ISA AND NORCH_KERNEL_SOURCES_CPU)
    set(sources ${NORCH_KERNEL_SOURCES_CPU})
    if(isa STREQUAL "avx512" AND "avx2" IN_LIST NORCH_CPU_ISA)
      list(REMOVE_ITEM sources ${NORCH_NARROW_SOURCES_CPU})
    endif()
    norch_add_objects(norch_cpu_${isa} ${sources})
    target_compile_definitions(norch_cpu_${isa} PRIVATE NORCH_ISA=${isa})
    target_compile_options(norch_cpu_${isa} PRIVATE ${NORCH_KERNEL_FLAGS} ${NORCH_ISA_FLAGS_${isa}})
    norch_precompile(norch_cpu_${isa} ${kernel_headers})
  endif()
endforeach()
if(NORCH_WITH_CUDA)
  file(GLOB cuda_sources CONFIGURE_DEPENDS "${src}/kernels/cuda/*.cu" "${src}/kernels/cuda/*.cpp")
  file(GLOB sm90a_sources CONFIGURE_DEPENDS "${src}/kernels/cuda/*_sm90a.cu")
  if(sm90a_sources)
    list(REMOVE_ITEM cuda_sources ${sm90a_sources})
  endif()
  norch_add_objects(norch_cuda_objects ${cuda_sources})
  if(TARGET norch_cuda_objects)
    target_link_libraries(norch_cuda_objects PRIVATE norch_cuda)
  endif()
  if(NORCH_CUDA_SM90A AND sm90a_sources)
    norch_add_objects(norch_cuda_sm90a ${sm90a_sources})
    target_link_libraries(norch_cuda_sm90a PRIVATE norch_cuda)
    set_target_properties(norch_cuda_sm90a PROPERTIES CUDA_ARCHITECTURES 90a-real)
    # Who asks at run time whether they may be called.
    foreach(file IN ITEMS attention_backward.cu gemm.cu sm90a.cpp)
      set_source_files_properties("${src}/kernels/cuda/${file}" PROPERTIES COMPILE_DEFINITIONS NORCH_HAVE_SM90A=1)
    endforeach()
  endif()
endif()

# For norch::configuration().
string(TOUPPER "${CMAKE_BUILD_TYPE}" config_type)
string(STRIP "${CMAKE_CXX_FLAGS} ${CMAKE_CXX_FLAGS_${config_type}}" config_flags)
set(config_cuda "off")
if(NORCH_WITH_CUDA)
  string(REPLACE ";" " " config_cuda "${CMAKE_CUDA_COMPILER_VERSION} for ${CMAKE_CUDA_ARCHITECTURES}")
endif()
get_filename_component(config_blas "${NORCH_BLAS_SUMMARY}" NAME)
set_source_files_properties("${src}/core/config.cpp" PROPERTIES COMPILE_DEFINITIONS
  "NORCH_CONFIG_BUILD_TYPE=\"${CMAKE_BUILD_TYPE}\";NORCH_CONFIG_FLAGS=\"${config_flags}\";\
NORCH_CONFIG_CUDA=\"${config_cuda}\";NORCH_CONFIG_BLAS=\"${config_blas}\"")

add_library(norch SHARED ${norch_objects})
add_library(norch::norch ALIAS norch)
target_compile_features(norch PUBLIC cxx_std_17)
target_include_directories(norch PUBLIC
  $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/libnorch/include>
  $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
target_link_libraries(norch PRIVATE norch_private norch_blas)
# A function that other programs may use too is still called directly from inside the library.
target_link_options(norch PRIVATE -Wl,-Bsymbolic-functions)
if(NOT NORCH_SANITIZE)
  target_link_options(norch PRIVATE -Wl,-z,defs)
endif()
set(exports "${PROJECT_SOURCE_DIR}/cmake/exports_library.map")
target_link_options(norch PRIVATE "-Wl,--version-script=${exports}")
set_target_properties(norch PROPERTIES LINKER_LANGUAGE CXX INSTALL_RPATH "$ORIGIN" LINK_DEPENDS "${exports}")
if(NORCH_WITH_CUDA)
  target_link_libraries(norch PRIVATE norch_cuda)
endif()

if(NORCH_IS_WHEEL)
  # Wheels can't hold symbolic links, so the file has no version in its name.
  set(CMAKE_INSTALL_LIBDIR lib)
else()
  set_target_properties(norch PROPERTIES VERSION ${PROJECT_VERSION}
    SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
endif()

# The C++ tests reach internals, which the shared library hides, so they link its objects.
if(NORCH_TESTS)
  add_library(norch_testable STATIC EXCLUDE_FROM_ALL ${norch_objects})
  set_target_properties(norch_testable PROPERTIES LINKER_LANGUAGE CXX)
  target_link_libraries(norch_testable PUBLIC norch_private norch_blas)
  if(NORCH_WITH_CUDA)
    target_link_libraries(norch_testable PUBLIC norch_cuda)
  endif()
endif()
