# The kernel families. Each stem S is libnorch/src/kernels/cpu/S.cpp, compiled once per instruction set of
# NORCH_CPU_ISA, and its CUDA twin libnorch/src/kernels/cuda/S.cu. Other files of those folders are compiled once.
# One stem a line, in alphabetical order.
set(NORCH_KERNEL_STEMS
  activation
  batch_norm
  binary
  class_loss
  conv
  conv_weight
  copy
  ctc
  factory
  fold
  gather
  gemm
  logsumexp
  loss
  moments
  nonzero
  norm
  optim
  optim_rules
  pool
  random
  reduce
  reduce_any_all
  reduce_norm
  reduce_select
  resample
  rnn
  sample
  scan
  softmax
  sort
  special
  ternary
  unary
)
# Families that CUDA composes of others: they have no twin there.
set(NORCH_CPU_KERNEL_STEMS
  attention
)
# Families that gain nothing from AVX-512: where AVX2 is among the instruction sets they are not compiled for it
# (kernels/narrow_kernel.h).
set(NORCH_NARROW_KERNEL_STEMS
  batch_norm
  ctc
  gather
  nonzero
  optim
  optim_rules
  pool
  reduce_any_all
  resample
  sample
  scan
  sort
)

set(kernel_dir "${PROJECT_SOURCE_DIR}/libnorch/src/kernels")
set(NORCH_KERNEL_SOURCES_CPU "")
set(NORCH_KERNEL_SOURCES_CUDA "")
foreach(stem IN LISTS NORCH_CPU_KERNEL_STEMS)
  list(APPEND NORCH_KERNEL_SOURCES_CPU "${kernel_dir}/cpu/${stem}.cpp")
endforeach()
foreach(stem IN LISTS NORCH_KERNEL_STEMS)
  foreach(twin IN ITEMS "CPU:cpu/${stem}.cpp" "CUDA:cuda/${stem}.cu")
    string(REGEX REPLACE ":.*" "" device "${twin}")
    string(REGEX REPLACE ".*:" "" file "${twin}")
    if(NOT EXISTS "${kernel_dir}/${file}")
      if(device STREQUAL "CPU" OR NORCH_WITH_CUDA)
        message(FATAL_ERROR "kernel family '${stem}' of cmake/NorchKernels.cmake lacks libnorch/src/kernels/${file}")
      endif()
    endif()
    list(APPEND NORCH_KERNEL_SOURCES_${device} "${kernel_dir}/${file}")
  endforeach()
endforeach()

set(NORCH_NARROW_SOURCES_CPU ${NORCH_NARROW_KERNEL_STEMS})
list(TRANSFORM NORCH_NARROW_SOURCES_CPU REPLACE "^(.+)$" "${kernel_dir}/cpu/\\1.cpp")

# Convolution is nothing but multiply-adds in registers: there the two may fuse.
set_source_files_properties("${kernel_dir}/cpu/conv.cpp" "${kernel_dir}/cpu/conv_weight.cpp" PROPERTIES COMPILE_OPTIONS -ffp-contract=fast)
