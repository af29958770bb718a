// CPU memory: a cache of freed blocks in front of the system allocator.
#pragma once

#include <cstddef>

namespace norch::cpu_allocator {

/// 64-byte aligned memory for `nbytes` (not null even for 0). \throws OutOfMemoryError.
void* allocate(size_t nbytes);
/// Returns a block of allocate(nbytes); it is kept for reuse while the cache is below its bound.
void deallocate(void* p, size_t nbytes) noexcept;
/// Gives all cached blocks of this thread and the shared cache back to the system.
void empty_cache() noexcept;

}  // namespace norch::cpu_allocator
