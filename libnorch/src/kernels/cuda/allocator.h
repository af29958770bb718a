// GPU memory: freed blocks are kept, per stream, in front of CUDA's stream-ordered pool.
//
// Up to 32 MiB a block's size is rounded up to one of a few classes (four per power of two) and a freed block goes to
// a list of its stream and class, so that the tensors of an eager program cost no CUDA call. Larger blocks go straight
// back to the pool, which can join and split them; a CUDA call is nothing beside a kernel of that size.
//
// While a thread captures a graph, its blocks come from the graph's Arena and go back there: a replay writes the same
// addresses again, so nothing else may have them as long as the graph lives.
#pragma once

#include "kernels/cuda/block_lists.h"

namespace norch::cuda {

/// The block at `p` (from allocate) is also used on `stream` of its `device`: when it is freed, its own stream waits for
/// what `stream` has queued by then before the block is used again.
void note_use(void* p, int device, cudaStream_t stream);

/// The memory of graphs that may share it. Guarded by the lock of its device's memory.
struct Arena {
  struct Block {
    void* p;
    size_t bytes;
    cudaStream_t stream;
  };
  int device = -1;  // set by the first capture
  int graphs = 0;   // that live
  BlockLists free;
  std::vector<Block> free_large;
  std::vector<Block> resting;  // freed beside their stream, or used on several: not reused within the capture
};

/// To be called around a capture: frees of other blocks wait until its end, since they may not touch captured streams.
void begin_captured_memory(Arena& arena);
void end_captured_memory(Arena& arena);
/// One graph of the arena less, whose replays are done. With the last one the arena's free blocks go back.
void leave_arena(Arena& arena) noexcept;

}  // namespace norch::cuda
