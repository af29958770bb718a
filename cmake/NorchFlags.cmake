# Compiler flags. norch_private carries what every translation unit of the library, its tests and its Python module
# is compiled with; it is never exported.
include(CheckCXXCompilerFlag)

set(CMAKE_CXX_STANDARD 17)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_CUDA_VISIBILITY_PRESET hidden)
set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)

find_package(Threads REQUIRED)

add_library(norch_private INTERFACE)
target_include_directories(norch_private INTERFACE
  "${PROJECT_SOURCE_DIR}/libnorch/include" "${PROJECT_SOURCE_DIR}/libnorch/src")
target_link_libraries(norch_private INTERFACE Threads::Threads ${CMAKE_DL_LIBS})

# Which kernels exist: kernel.h picks among them when the library loads.
foreach(isa IN LISTS NORCH_CPU_ISA)
  string(TOUPPER ${isa} ISA)
  target_compile_definitions(norch_private INTERFACE NORCH_HAVE_ISA_${ISA}=1)
endforeach()
if(NORCH_WITH_CUDA)
  target_compile_definitions(norch_private INTERFACE NORCH_WITH_CUDA=1)
endif()

# GCC and Clang take every flag below; a flag that only one of them knows is tested for.
# GCC's -Wmaybe-uninitialized is wrong about std::optional too often to be of use.
set(warnings -Wall -Wextra -Wpedantic -Wnon-virtual-dtor -Woverloaded-virtual
  $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
if(NORCH_WERROR)
  list(APPEND warnings -Werror)
endif()
# -fno-semantic-interposition lets the library inline and call its own exported functions directly.
set(codegen -fno-semantic-interposition)
check_cxx_compiler_flag(-fno-semantic-interposition NORCH_HAS_NO_INTERPOSITION)
if(NOT NORCH_HAS_NO_INTERPOSITION)
  set(codegen "")
endif()
add_library(norch_warnings INTERFACE)
target_compile_options(norch_warnings INTERFACE $<$<COMPILE_LANGUAGE:CXX>:${warnings}>)
target_compile_options(norch_private INTERFACE $<$<COMPILE_LANGUAGE:CXX>:${codegen}>)

if(NORCH_SANITIZE)
  string(REPLACE ";" "," sanitizers "${NORCH_SANITIZE}")
  set(sanitize_flags -fsanitize=${sanitizers} -fno-sanitize-recover=all -fno-omit-frame-pointer -g1)
  target_compile_options(norch_private INTERFACE $<$<COMPILE_LANGUAGE:CXX>:${sanitize_flags}>)
  target_link_options(norch_private INTERFACE -fsanitize=${sanitizers})
endif()

# CPU kernels: plain loops that the compiler vectorises. No flag lets it reorder floating-point arithmetic, and
# multiply-add contraction is off, so that every instruction set computes the same bits wherever it can.
set(NORCH_KERNEL_FLAGS -O3 -fno-math-errno -fno-trapping-math -ffp-contract=off -fopenmp-simd)
set(NORCH_ISA_FLAGS_baseline "")
if("avx2" IN_LIST NORCH_CPU_ISA)
  set(NORCH_ISA_FLAGS_baseline -O2)  # for processors of before 2013 only: half the compile time
endif()
set(NORCH_ISA_FLAGS_avx2 -mavx2 -mfma -mf16c -mbmi2)
set(NORCH_ISA_FLAGS_avx512 -mavx512f -mavx512bw -mavx512dq -mavx512vl -mfma -mf16c -mbmi2 -mprefer-vector-width=512)

# glibc's libmvec has vector versions of exp, log, tanh, ... which GCC calls from vectorised loops. It is used where
# a loop that calls tanhf really ends up in a vector variant (symbol _ZGV...N4v_tanhf).
set(NORCH_HAVE_LIBMVEC OFF)
file(WRITE "${PROJECT_BINARY_DIR}/CMakeFiles/libmvec.cpp" "
extern \"C\" __attribute__((simd(\"notinbranch\"), const)) float tanhf(float) noexcept;
int main(int argc, char**) {
    float x[64];
    for (int i = 0; i < 64; ++i) x[i] = float(argc) + float(i);
    #pragma omp simd
    for (int i = 0; i < 64; ++i) x[i] = tanhf(x[i]);
    float sum = 0;
    for (int i = 0; i < 64; ++i) sum += x[i];
    return sum > 64.5f;
}
")
try_compile(mvec_links "${PROJECT_BINARY_DIR}/CMakeFiles/libmvec" "${PROJECT_BINARY_DIR}/CMakeFiles/libmvec.cpp"
  COMPILE_DEFINITIONS -O3 -fno-math-errno -fopenmp-simd
  LINK_LIBRARIES -lmvec -lm
  COPY_FILE "${PROJECT_BINARY_DIR}/CMakeFiles/libmvec.bin")
if(mvec_links)
  file(STRINGS "${PROJECT_BINARY_DIR}/CMakeFiles/libmvec.bin" vector_symbols REGEX "_ZGV[a-z]N[0-9]+v_tanhf")
  if(vector_symbols)
    set(NORCH_HAVE_LIBMVEC ON)
    target_compile_definitions(norch_private INTERFACE NORCH_HAVE_LIBMVEC=1)
    target_link_libraries(norch_private INTERFACE -lmvec -lm)
  endif()
endif()

# Headers that most files of a target include, compiled once for it. Each file still includes what it needs: builds
# without NORCH_PRECOMPILE show what is missing.
function(norch_precompile target)
  if(NORCH_PRECOMPILE)
    set(headers ${ARGN})
    list(TRANSFORM headers REPLACE "^([^<].*)$" "\"\\1\"")  # found as the files' own includes are
    target_precompile_headers(${target} PRIVATE ${headers})
  endif()
endfunction()
