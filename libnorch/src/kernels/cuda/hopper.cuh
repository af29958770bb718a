// Instructions of Hopper (sm_90a) and of no other GPU: products of 16-bit matrices by a warpgroup (four warps, the first
// of them a multiple of four) whose operands lie in shared memory, and what kernels with them need: barriers of parts of a
// block, and registers that pass from one warpgroup to another.
//
// The result, 64 x N, is shared by the warpgroup as mma.cuh's c (16 x 8) is by a warp: warp w has rows 16 w to 16 w + 15,
// and c[4 n + r] is number r of its columns 8 n to 8 n + 7. So is an `a` in registers, 64 x 16, as mma.cuh's a.
//
// In shared memory, a matrix is cut into panels of 64 columns, a panel being rows of 128 bytes whose 16-byte chunks are
// swapped: chunk c of row i is at c ^ (i % 8). A panel begins at a multiple of 1024 bytes.
#pragma once

#include "kernels/cuda/mma.cuh"

namespace norch::kernels::cuda::hopper {

#ifdef __CUDA_ARCH_FEAT_SM90_ALL

/// Where an operand is, to the hardware: `address` in shared memory, panels `panel_bytes` apart (of an operand whose
/// columns lie across the sum and which has several).
__device__ __forceinline__ uint64_t operand(uint32_t address, uint32_t panel_bytes = 16) {
  constexpr uint64_t kSwapped128 = uint64_t{1} << 62, kEightRows = uint64_t{1024 >> 4} << 32;
  return kSwapped128 | kEightRows | static_cast<uint64_t>((address & 0x3FFFF) >> 4) |
         static_cast<uint64_t>(panel_bytes >> 4) << 16;
}

/// Before the first product that reads registers which were written since.
__device__ __forceinline__ void begin_products() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
/// The products so far become a group.
__device__ __forceinline__ void commit_products() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
/// Waits until at most `groups` groups are under way.
template <int groups>
__device__ __forceinline__ void wait_for_products() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(groups) : "memory");
}
/// Registers that products wrote are read after this, and those that they will read are written before.
template <int count>
__device__ __forceinline__ void hold(float (&c)[count]) {
#pragma unroll
  for (int i = 0; i < count; ++i) asm volatile("" : "+f"(c[i])::"memory");
}
template <int count>
__device__ __forceinline__ void hold(uint32_t (&a)[count][4]) {
#pragma unroll
  for (int i = 0; i < count; ++i)
#pragma unroll
    for (int r = 0; r < 4; ++r) asm volatile("" : "+r"(a[i][r])::"memory");
}
/// What this thread wrote to shared memory is seen by products that begin after a barrier.
__device__ __forceinline__ void show_writes() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }

#define NORCH_C8(i) \
  "+f"(c[i]), "+f"(c[i + 1]), "+f"(c[i + 2]), "+f"(c[i + 3]), "+f"(c[i + 4]), "+f"(c[i + 5]), "+f"(c[i + 6]), "+f"(c[i + 7])
#define NORCH_C32(i) NORCH_C8(i), NORCH_C8(i + 8), NORCH_C8(i + 16), NORCH_C8(i + 24)
#define NORCH_NAMES16 "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15"
#define NORCH_NAMES32                                                                                               \
  "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31"
#define NORCH_NAMES64                                                                                               \
  NORCH_NAMES32 ",%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47,%48,%49,%50,%51,%52,%53,%54,%55," \
                "%56,%57,%58,%59,%60,%61,%62,%63"
#define NORCH_FORM(n, type) "wgmma.mma_async.sync.aligned.m64n" n "k16.f32." type "." type " "

// c (+)= a b with both in shared memory; the operand numbers that follow those of c are a, b, whether to add, and whether
// the columns of a and of b lie across the sum.
#define NORCH_SHARED(n, type, names, a, b, add, ta, tb, ...)                                              \
  asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, " add ", 0;\n" NORCH_FORM(n, type) "{" names "}, " a ", " b \
               ", p, 1, 1, " ta ", " tb ";\n}"                                                             \
               : __VA_ARGS__                                                                               \
               : "l"(x), "l"(y), "r"(add_to), "n"(int(across_a)), "n"(int(across_b)))
// c (+)= a b with a in registers.
#define NORCH_HELD(n, type, names, a0, a1, a2, a3, b, tb, add, ...)                                              \
  asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, " add ", 0;\n" NORCH_FORM(n, type) "{" names "}, {" a0 "," a1 "," a2 \
               "," a3 "}, " b ", p, 1, 1, " tb ";\n}"                                                            \
               : __VA_ARGS__                                                                                     \
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(y), "n"(int(across_b)), "r"(add_to))

/// c = x y, or c += x y where `add_to`, of 64 x 16 and 16 x N with N = 32, 64 or 128; `across`: the columns of the
/// memory are those of a (transposed) or b, not the terms of the sum.
template <class T, bool across_a, bool across_b, int count>
__device__ __forceinline__ void multiply(float (&c)[count], uint64_t x, uint64_t y, int add_to) {
  static_assert(count == 16 || count == 32 || count == 64);
  constexpr bool bf16 = std::is_same_v<T, BFloat16>;
  if constexpr (count == 16 && bf16)
    NORCH_SHARED("32", "bf16", NORCH_NAMES16, "%16", "%17", "%18", "%19", "%20", NORCH_C8(0), NORCH_C8(8));
  else if constexpr (count == 16)
    NORCH_SHARED("32", "f16", NORCH_NAMES16, "%16", "%17", "%18", "%19", "%20", NORCH_C8(0), NORCH_C8(8));
  else if constexpr (count == 32 && bf16)
    NORCH_SHARED("64", "bf16", NORCH_NAMES32, "%32", "%33", "%34", "%35", "%36", NORCH_C32(0));
  else if constexpr (count == 32)
    NORCH_SHARED("64", "f16", NORCH_NAMES32, "%32", "%33", "%34", "%35", "%36", NORCH_C32(0));
  else if constexpr (bf16)
    NORCH_SHARED("128", "bf16", NORCH_NAMES64, "%64", "%65", "%66", "%67", "%68", NORCH_C32(0), NORCH_C32(32));
  else
    NORCH_SHARED("128", "f16", NORCH_NAMES64, "%64", "%65", "%66", "%67", "%68", NORCH_C32(0), NORCH_C32(32));
}

/// c = a y, or c += a y where `add_to`, with `a` in registers.
template <class T, bool across_b, int count>
__device__ __forceinline__ void multiply(float (&c)[count], const uint32_t (&a)[4], uint64_t y, int add_to = 1) {
  static_assert(count == 32 || count == 64);
  constexpr bool bf16 = std::is_same_v<T, BFloat16>;
  if constexpr (count == 32 && bf16)
    NORCH_HELD("64", "bf16", NORCH_NAMES32, "%32", "%33", "%34", "%35", "%36", "%37", "%38", NORCH_C32(0));
  else if constexpr (count == 32)
    NORCH_HELD("64", "f16", NORCH_NAMES32, "%32", "%33", "%34", "%35", "%36", "%37", "%38", NORCH_C32(0));
  else if constexpr (bf16)
    NORCH_HELD("128", "bf16", NORCH_NAMES64, "%64", "%65", "%66", "%67", "%68", "%69", "%70", NORCH_C32(0), NORCH_C32(32));
  else
    NORCH_HELD("128", "f16", NORCH_NAMES64, "%64", "%65", "%66", "%67", "%68", "%69", "%70", NORCH_C32(0), NORCH_C32(32));
}

#undef NORCH_C8
#undef NORCH_C32
#undef NORCH_NAMES16
#undef NORCH_NAMES32
#undef NORCH_NAMES64
#undef NORCH_FORM
#undef NORCH_SHARED
#undef NORCH_HELD

/// The result of products from `first` on, rounded to T, as operands `a` of the next ones.
template <class T, int count, int from>
__device__ __forceinline__ void pack(uint32_t (&a)[count][4], const float (&c)[from], int first = 0) {
#pragma unroll
  for (int k = 0; k < count; ++k)
#pragma unroll
    for (int r = 0; r < 4; ++r) {
      const int i = first + k * 8 + r * 2;
      a[k][r] = mma::pack<T>(c[i], c[i + 1]);
      asm volatile("" : "+r"(a[k][r])::"memory");
    }
}

/// Writes four 8 x 8 matrices, held as mma::load_matrices gives them, to the 16-byte rows at the lanes' addresses.
__device__ __forceinline__ void store_matrices(uint32_t address, const uint32_t (&r)[4]) {
  asm volatile("stmatrix.sync.aligned.m8n8.x4.shared.b16 [%0], {%1,%2,%3,%4};" ::"r"(address), "r"(r[0]), "r"(r[1]),
               "r"(r[2]), "r"(r[3])
               : "memory");
}

/// 16 bytes of shared memory that other threads write.
__device__ __forceinline__ int4 load_shared(uint32_t at) {
  int4 v;
  asm volatile("ld.shared.v4.b32 {%0,%1,%2,%3}, [%4];"
               : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
               : "r"(at)
               : "memory");
  return v;
}
/// Writes 16 bytes of shared memory.
__device__ __forceinline__ void store_shared(uint32_t at, float x, float y, float z, float w) {
  asm volatile("st.shared.v4.f32 [%0], {%1,%2,%3,%4};" ::"r"(at), "f"(x), "f"(y), "f"(z), "f"(w) : "memory");
}

/// Copies of shared memory to the GPU's, or sums of float32 there, which the hardware makes while the thread goes on:
/// bytes and addresses are multiples of 16. What other threads wrote needs their show_writes and a barrier before.
__device__ __forceinline__ void store_in_memory(void* to, uint32_t from, int bytes) {
  asm volatile("cp.async.bulk.global.shared::cta.bulk_group [%0], [%1], %2;" ::"l"(__cvta_generic_to_global(to)), "r"(from),
               "r"(bytes)
               : "memory");
}
__device__ __forceinline__ void add_in_memory(float* to, uint32_t from, int bytes) {
  asm volatile("cp.reduce.async.bulk.global.shared::cta.bulk_group.add.f32 [%0], [%1], %2;" ::"l"(
                   __cvta_generic_to_global(to)),
               "r"(from), "r"(bytes)
               : "memory");
}
/// What this thread began so far becomes a group.
__device__ __forceinline__ void commit_stores() { asm volatile("cp.async.bulk.commit_group;" ::: "memory"); }
/// Waits until the shared memory of all groups but the last `groups` may be written again.
template <int groups>
__device__ __forceinline__ void wait_for_reads() {
  asm volatile("cp.async.bulk.wait_group.read %0;" ::"n"(groups) : "memory");
}
/// Waits until they are done, and other blocks see it that see what this thread publishes next.
template <int groups>
__device__ __forceinline__ void wait_for_stores() {
  asm volatile("cp.async.bulk.wait_group %0;" ::"n"(groups) : "memory");
}
/// Between what a thread knows to be done in the GPU's or shared memory and what the hardware does there for it, or back.
__device__ __forceinline__ void join_proxies() { asm volatile("fence.proxy.async;" ::: "memory"); }

/// Barriers in shared memory, 8 bytes each. A phase of one ends when `arrivals` threads have arrived.
__device__ __forceinline__ void make_barrier(uint32_t at, int arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(at), "r"(arrivals) : "memory");
}
__device__ __forceinline__ void arrive(uint32_t at) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(at) : "memory");
}
/// Arrives once the copies that this thread has started (mma::copy_async) are there.
__device__ __forceinline__ void arrive_with_copies(uint32_t at) {
  asm volatile("cp.async.mbarrier.arrive.noinc.shared::cta.b64 [%0];" ::"r"(at) : "memory");
}
/// Waits for the end of phase `phase`, where none or one more has ended.
__device__ __forceinline__ void wait_for_phase(uint32_t at, int phase) {
  uint32_t done = 0;
  while (!done)
    asm volatile("{\n.reg .pred p;\nmbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2;\nselp.u32 %0, 1, 0, p;\n}"
                 : "=r"(done)
                 : "r"(at), "r"(phase & 1)
                 : "memory");
}
/// __syncthreads of `threads` threads. `id`: 1 to 15, for each set of threads.
template <int threads>
__device__ __forceinline__ void sync_threads(int id) {
  asm volatile("bar.sync %0, %1;" ::"r"(id), "n"(threads) : "memory");
}

/// __syncthreads of `threads` threads, and whether `here` holds for any of them. `id`: 1 to 15, for each set of threads.
template <int threads>
__device__ __forceinline__ bool any_of(int id, bool here) {
  int found;
  asm volatile("{\n.reg .pred p, q;\nsetp.ne.b32 p, %1, 0;\nbar.red.or.pred q, %2, %3, p;\nselp.b32 %0, 1, 0, q;\n}"
               : "=r"(found)
               : "r"(int(here)), "r"(id), "n"(threads)
               : "memory");
  return found != 0;
}

/// A warpgroup gives registers back, or waits until it can have more: `count` for each of its threads from here on.
template <int count>
__device__ __forceinline__ void fewer_registers() {
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(count));
}
template <int count>
__device__ __forceinline__ void more_registers() {
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(count));
}

#endif

}  // namespace norch::kernels::cuda::hopper
