// The gradients of attention with Hopper's products of a warpgroup: the algorithm of attention_backward.cuh.
//
// Two warpgroups have 64 of 128 keys each. A step begins with the transposed weights and their gradients, 64 x rows, in
// registers, which are operands of the gradients of v and k where they lie. The rows are taken in two parts: the weights
// of one are made while the tensor cores have the products of the other. The gradients of the scores go to shared memory
// too, where a third warpgroup takes them for the gradient of q (attention_backward_grad_q.cuh). What the fourth does is
// there and in attention_backward_roles.cuh.
#pragma once

#include "kernels/cuda/attention_backward_grad_q.cuh"

namespace norch::kernels::cuda {

#ifdef __CUDA_ARCH_FEAT_SM90_ALL

/// Writes a warp's part of the gradient of k or v, its 16 keys from `key` on, times `scale`. `strip` is the warp's 16 rows
/// of shared memory.
template <class T, class S>
__device__ __forceinline__ void write_keys(const AttentionTensor& grad, const KeyPlace& keys, int key, int columns,
                                           int width, float scale, uint32_t strip,
                                           const float (&d)[S::kWidth / 2]) {
  using Strip = Tile<16, 64>;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const uint32_t store_at = strip + Strip::lane_a(lane), load_at = strip + Strip::at(lane / 8, lane % 8);
  T* const to = begin_of<T>(grad, keys.batch, keys.kv_head);
#pragma unroll
  for (int p = 0; p < S::kPanels; ++p) {
    uint32_t x[4][4];
    float scaled[32];
#pragma unroll
    for (int i = 0; i < 32; ++i) scaled[i] = d[p * 32 + i] * scale;
    hopper::pack<T>(x, scaled);
    __syncwarp();
#pragma unroll
    for (int k = 0; k < 4; ++k) hopper::store_matrices(store_at ^ (k * kTermBytes), x[k]);
    __syncwarp();
    const int column = p * 64 + lane % 8 * 8;
#pragma unroll
    for (int r = 0; r < 16; r += 4) {
      float y[4];
      mma::load_shared(y, (r % 8 == 4 ? load_at ^ 64 : load_at) + r * Strip::kRowBytes);
      const int row = key + r + lane / 8;
      if (row < columns && column < width)
        *reinterpret_cast<float4*>(to + row * grad.row + column) = make_float4(y[0], y[1], y[2], y[3]);
    }
  }
}

/// The part of the two warpgroups that make weights.
template <class T, class S>
__device__ __forceinline__ void make_grad_kv(const AttentionCall& call, const FusedAttentionGradients& grads,
                                             const BackwardRoom& room, uint32_t shared, const char* shared_bytes,
                                             const Signals<S>& signals) {
  using RowPanel = typename S::RowPanel;
  using KeyPanel = typename S::KeyPanel;
  using Keys = KeyBlock<S::kUpwards>;
  const FusedAttention& a = call.a;
  const int columns = static_cast<int>(a.columns);
  const int lane = static_cast<int>(threadIdx.x) % 32, t = lane % 4;
  const int warp = same(static_cast<int>(threadIdx.x) / 32), group = warp / 4;
  const uint32_t own_keys = group * 64 * KeyPanel::kRowBytes, own_rows = warp * 16 * KeyPanel::kRowBytes;
  const uint32_t d_lane = shared + S::kScoresAt + own_rows + KeyPanel::lane_a(lane);
  int made = 0, values_used = 0;  // steps and blocks so far
  float dk[S::kWidth / 2], dv[S::kWidth / 2];

  for (uint32_t item = 0;; ++item) {
    const KeyPlace place = same(signals.wait_for_place(item));
    if (place.block < 0) return;
    const int j0 = place.block * S::kKeys, value_tile = values_used % S::kValueTiles;
    int left = Keys::template of<S>(call, room, place).steps;
#pragma unroll
    for (int i = 0; i < S::kWidth / 2; ++i) dk[i] = dv[i] = 0;
    while (left > 0) {
      const int stage = made % 2;
      const uint32_t k_tile = shared + S::kKeysAt + item % 2 * S::kKeyTile + own_keys;
      const uint32_t v_tile = shared + S::kValuesAt + value_tile * S::kKeyTile + own_keys;
      const uint32_t q_tile = shared + S::kStagesAt + stage * S::kStage, g_tile = q_tile + S::kRowTile;
      hopper::wait_for_phase(signals.full(stage), made / 2);
      const int4 info = hopper::load_shared(shared + S::kRowValuesAt + stage * S::kRowValues + S::kStepInfo);
      const int i0 = same(info.x);
      left = same(info.y);
      // Each two RowValues: those of rows 2t and 2t + 1 of eight.
      const float4* const values =
          reinterpret_cast<const float4*>(shared_bytes + S::kRowValuesAt + stage * S::kRowValues) + t;
      // The step, from part `first` of the rows on.
      const auto take = [&](auto first) {
        constexpr int kFirst = first, kEights = S::kRows / 16, kPartTerms = kEights / 2, kRest = (2 - kFirst) * kEights;
        constexpr int kPartBytes = kEights * 8 * RowPanel::kRowBytes;
        float s[kRest * 4], d[kEights * 4];
        uint32_t p[2 - kFirst][kPartTerms][4], y[2 - kFirst][kPartTerms][4];
        const auto begin_gradients = [&](int part) {
          hopper::begin_products();
          multiply_columns<T, S::kWidth, KeyPanel, RowPanel>(d, v_tile, g_tile + part * kPartBytes);
          hopper::commit_products();
        };
        hopper::begin_products();
        multiply_columns<T, S::kWidth, KeyPanel, RowPanel>(s, k_tile, q_tile + kFirst * kPartBytes);
        hopper::commit_products();
        if (same(info.z)) hopper::wait_for_phase(signals.values_full(value_tile), values_used++ / S::kValueTiles);
        begin_gradients(kFirst);
        hopper::wait_for_products<1>();
        hopper::hold(s);

        // s becomes the weights and d the gradients of the scores.
        if (j0 + S::kKeys > columns || (a.causal && j0 + S::kKeys - 1 > i0)) {
          const int first_key = j0 + warp * 16 + lane / 4;
#pragma unroll
          for (int n = 0; n < kRest; ++n)
#pragma unroll
            for (int r = 0; r < 4; ++r) {
              const int row = i0 + (kFirst * kEights + n) * 8 + 2 * t + r % 2, key = first_key + r / 2 * 8;
              if (key >= columns || (a.causal && key > row)) s[n * 4 + r] = -kInfinity;
            }
        }
#pragma unroll
        for (int part = kFirst; part < 2; ++part) {
          const int before = (part - kFirst) * kEights;
#pragma unroll
          for (int n = 0; n < kEights; ++n) {
            const float4 v = values[(part * kEights + n) * 4];
#pragma unroll
            for (int r = 0; r < 4; ++r) {
              float& x = s[(before + n) * 4 + r];
              x = mma::exp2_fast(x * call.scale_log2 - (r % 2 ? v.z : v.x));
            }
          }
          hopper::hold(s);  // the exponentials are made while products are under way
          if (part == kFirst)
            hopper::wait_for_products<0>();
          else
            hopper::wait_for_products<1>();
          hopper::hold(d);
          if (S::kValueTiles == 1 && part == 1 && left == 0) arrive_as_warp(signals.values_empty(value_tile));
#pragma unroll
          for (int n = 0; n < kEights; ++n) {
            const float4 v = values[(part * kEights + n) * 4];
#pragma unroll
            for (int r = 0; r < 4; ++r) d[n * 4 + r] = s[(before + n) * 4 + r] * (d[n * 4 + r] - (r % 2 ? v.w : v.y));
          }
          hopper::pack<T>(y[part - kFirst], d);
          hopper::pack<T>(p[part - kFirst], s, before * 4);
          if (part == 0) begin_gradients(1);
          hopper::begin_products();
          multiply_rows<T, RowPanel>(dv, p[part - kFirst], g_tile + part * kPartBytes);
          if (part == kFirst && made > 1) hopper::wait_for_phase(signals.scores_empty(stage), made / 2 - 1);
#pragma unroll
          for (int k = 0; k < kPartTerms; ++k) {
            const int column = part * kPartTerms + k;
            hopper::store_matrices(
                stage * S::kScores + (d_lane ^ (column % 4 * kTermBytes)) + column / 4 * KeyPanel::kBytes,
                y[part - kFirst][k]);
          }
          hopper::begin_products();
          multiply_rows<T, RowPanel>(dk, y[part - kFirst], q_tile + part * kPartBytes);
          hopper::commit_products();
        }
        hopper::show_writes();
        arrive_as_warp(signals.scores_full(stage));
        hopper::wait_for_products<0>();
        hopper::hold(dk);
        hopper::hold(dv);
#pragma unroll
        for (int part = 0; part < 2 - kFirst; ++part) {
          hopper::hold(p[part]);
          hopper::hold(y[part]);
        }
      };
      // Of 128 rows, the first part may see none of these keys. (Of 64, few steps have such rows.)
      constexpr int kHalf = S::kRows == 128;
      if (kHalf && a.causal && j0 + group * 64 > i0 + S::kRows / 2 - 1)
        take(std::integral_constant<int, kHalf>{});
      else
        take(std::integral_constant<int, 0>{});
      arrive_as_warp(signals.empty(stage));
      ++made;
    }
    // The rows of shared memory for write_keys: those of the values, which are no longer needed, or, where the next ones
    // want their tile (or it was not taken), where the next step will store the gradients of scores, once those there
    // have been read.
    const KeyPlace at = same(signals.place_of(item));
    const bool in_values = S::kValueTiles == 2 && Keys::template of<S>(call, room, at).steps > 0;
    const int last_tile = (values_used - 1) % S::kValueTiles;
    uint32_t strip = shared + own_rows;
    if (in_values) {
      strip += S::kValuesAt + last_tile * S::kKeyTile;
      hopper::sync_threads<128>(2 + group);  // the warpgroup's products are done
    } else {
      strip += S::kScoresAt + made % 2 * S::kScores;
      if (made > 1) hopper::wait_for_phase(signals.scores_empty(made % 2), made / 2 - 1);
    }
    arrive_as_warp(signals.done(item % 2));
    const int key = at.block * S::kKeys + warp * 16;
    write_keys<T, S>(grads.k, at, key, columns, static_cast<int>(a.width), call.scale, strip, dk);
    write_keys<T, S>(grads.v, at, key, columns, static_cast<int>(a.value_width), 1.0f, strip, dv);
    __syncwarp();
    if (in_values) arrive_as_warp(signals.values_empty(last_tile));
  }
}

#endif

template <class T, class S>
__global__ void __launch_bounds__(S::kThreads, 1)
    attention_backward_sm90a_kernel(AttentionCall call, FusedAttentionGradients grads, BackwardRoom room,
                                    TicketRange range) {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
  extern __shared__ SharedBlock shared_blocks[];
  const uint32_t shared = mma::shared_address(shared_blocks);
  const Signals<S> signals{shared + S::kSignalsAt};
  const int warp = same(static_cast<int>(threadIdx.x) / 32), group = warp / 4;
  if (threadIdx.x == 0) signals.make();
  __syncthreads();
  if (group == 3) {
    hopper::fewer_registers<S::kOtherRegisters>();
    constexpr int kKeeper = S::kWorkers / 32 + 4;
    if (warp == kKeeper) {
      if (threadIdx.x % 32 == 0) keep_order<S>(call, room, shared, signals);
    } else if (warp <= kKeeper + S::kLoaders / 32) {
      load_all<T, S>(call, grads, room, range, shared, signals, static_cast<int>(threadIdx.x) - (kKeeper + 1) * 32);
    }
  } else if (group == 2) {
    hopper::fewer_registers<S::kGradQRegisters>();
    make_grad_q<T, S>(call, grads, room, shared, signals);
  } else {
    hopper::more_registers<S::kWorkerRegisters>();
    make_grad_kv<T, S>(call, grads, room, shared, reinterpret_cast<const char*>(shared_blocks), signals);
  }
#endif
}

}  // namespace norch::kernels::cuda
