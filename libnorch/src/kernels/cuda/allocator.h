// GPU memory: freed blocks are kept, per stream, in front of CUDA's stream-ordered pool.
//
// Up to 32 MiB a block's size is rounded up to one of a few classes (four per power of two) and a freed block goes to
// a list of its stream and class, so that the tensors of an eager program cost no CUDA call. Larger blocks go straight
// back to the pool, which can join and split them; a CUDA call is nothing beside a kernel of that size.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>

namespace norch::cuda {

/// The block at `p` (from allocate) is also used on `stream` of its `device`: when it is freed, its own stream waits for
/// what `stream` has queued by then before the block is used again.
void note_use(void* p, int device, cudaStream_t stream);

}  // namespace norch::cuda
