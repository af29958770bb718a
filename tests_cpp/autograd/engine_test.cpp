#include <gtest/gtest.h>
#include <sys/resource.h>

#include <thread>

#include "autograd/node.h"
#include "error_text.h"
#include "norch/norch.h"

namespace norch {
namespace {

Tensor leaf(double value, Ints sizes = {2}) {
  return full(sizes, value, TensorOptions(kFloat64).requires_grad(true));
}
double at(const Tensor& t, int64_t i = 0) { return t.contiguous().data<double>()[i]; }

TEST(Engine, AccumulatesOverPathsAndCalls) {
  Tensor x = leaf(3);
  Tensor y = mul(x, x) + x;
  sum(y).backward();
  EXPECT_EQ(at(x.grad()), 7);
  sum(x * 2.0).backward();
  EXPECT_EQ(at(x.grad()), 9);
}

TEST(Engine, ReducesBroadcastGradientsAndCasts) {
  Tensor x = full({3, 1}, 2.0, TensorOptions(kFloat32).requires_grad(true));
  Tensor w = leaf(5, {4});
  sum(mul(x, w)).backward();
  EXPECT_EQ(x.grad().sizes(), Ints({3, 1}));
  EXPECT_EQ(x.grad().dtype(), kFloat32);
  EXPECT_EQ(x.grad().data<float>()[0], 20);
  EXPECT_EQ(at(w.grad()), 6);
}

TEST(Engine, DoubleBackward) {
  Tensor x = leaf(3, {1});
  Tensor y = mul(mul(x, x), x);
  Tensor g = autograd::grad({y}, {x}, {}, true, true)[0];
  EXPECT_EQ(at(g), 27);
  EXPECT_EQ(at(autograd::grad({g}, {x})[0]), 18);
}

TEST(Engine, GradLeavesDotGradAlone) {
  Tensor x = leaf(3, {1}), unused = leaf(1, {1});
  Tensor y = mul(x, x);
  EXPECT_ERROR(Error, autograd::grad({y}, {x, unused}, {}, true), "appears to not have been used in the graph");
  TensorList g = autograd::grad({y}, {x, unused}, {}, true, false, true);
  EXPECT_EQ(at(g[0]), 6);
  EXPECT_FALSE(g[1].defined());
  EXPECT_EQ(at(autograd::grad({y}, {unused}, {}, true, false, true, true)[0]), 0);
  EXPECT_FALSE(x.grad().defined());
}

TEST(Engine, GradOfAnIntermediateAndOfTheOutputItself) {
  Tensor x = leaf(3, {1});
  Tensor h = mul(x, x);
  Tensor y = h * 5.0;
  TensorList g = autograd::grad({y}, {h, x, y});
  EXPECT_EQ(at(g[0]), 5);
  EXPECT_EQ(at(g[1]), 30);
  EXPECT_EQ(at(g[2]), 1);
}

TEST(Engine, BackwardOnGivenInputsOnly) {
  Tensor x = leaf(3, {1}), w = leaf(2, {1});
  Tensor y = mul(x, w);
  autograd::backward({y}, {}, false, false, {w});
  EXPECT_FALSE(x.grad().defined());
  EXPECT_EQ(at(w.grad()), 3);
}

TEST(Engine, Errors) {
  Tensor x = leaf(3);
  EXPECT_ERROR(Error, mul(x, x).backward(), "grad can be implicitly created only for scalar outputs");
  EXPECT_ERROR(Error, x.detach().backward(), "does not require grad and does not have a grad_fn");
  EXPECT_ERROR(Error, mul(x, x).backward(ones({3}, kFloat64)), "Mismatch in shape");
  Tensor s = sum(mul(x, x));
  s.backward();
  EXPECT_ERROR(Error, s.backward(), "backward through the graph a second time");
  Tensor t = sum(mul(x, x));
  t.backward({}, true);
  t.backward();
}

TEST(Engine, NoticesInPlaceChangesOfSavedTensors) {
  Tensor x = leaf(3);
  Tensor h = x * 2.0;
  Tensor y = sum(mul(h, h));
  add_(h, ones({2}, kFloat64));
  const std::string text = error_text([&] { y.backward(); });
  for (const char* part : {"modified by an inplace operation", "float64[2]", "MulBackward0", "version 1", "version 0"})
    EXPECT_NE(text.find(part), std::string::npos) << text;
}

TEST(Engine, InPlaceOnLeafIsRefused) {
  Tensor x = leaf(3);
  EXPECT_ERROR(Error, add_(x, x.detach()), "a leaf Variable that requires grad is being used in an in-place operation");
  EXPECT_ERROR(Error, add_(as_strided(x, {1}, {1}, 0), ones({1}, kFloat64)), "a view of a leaf Variable");
  EXPECT_EQ(at(x), 3);
  autograd::NoGrad off;
  add_(x, ones({2}, kFloat64));
  EXPECT_EQ(at(x), 4);
}

TEST(Engine, InPlaceOnAViewRebasesTheBase) {
  Tensor w = leaf(5, {2});
  Tensor base = ones({4}, kFloat64);
  Tensor view = as_strided(base, {2}, {1}, 1);
  mul_(view, w);
  EXPECT_TRUE(base.requires_grad());
  EXPECT_EQ(base.grad_fn()->name(), "CopySlices");
  EXPECT_EQ(view.grad_fn()->name(), "AsStridedBackward0");
  sum(mul(base, base)).backward();  // d(w^2)/dw
  EXPECT_EQ(at(w.grad()), 10);
}

TEST(Engine, InPlaceOnAViewOfANonLeaf) {
  Tensor x = leaf(3, {4}), w = leaf(5, {2});
  Tensor h = x * 1.0;
  Tensor view = as_strided(h, {2}, {2}, 0);
  mul_(view, w);
  Tensor late = as_strided(h, {4}, {1}, 0);
  sum(late).backward();
  EXPECT_EQ(at(x.grad(), 0), 5);
  EXPECT_EQ(at(x.grad(), 1), 1);
  EXPECT_EQ(at(w.grad()), 3);
}

TEST(Engine, ViewMadeWithoutGradCannotBeWrittenWithIt) {
  Tensor h = leaf(3, {4}) * 1.0;
  Tensor view;
  {
    autograd::NoGrad off;
    view = as_strided(h, {2}, {1}, 0);
  }
  EXPECT_ERROR(Error, add_(view, ones({2}, kFloat64)), "created in no_grad mode");
}

TEST(Engine, MemoryThatOverlapsItselfCannotBeWritten) {
  Tensor e = expand(zeros({1}, kFloat64), {3});
  EXPECT_ERROR(Error, add_(e, ones({3}, kFloat64)), "more than one element of the written-to tensor");
}

TEST(Engine, OverwritingCutsTheGradient) {
  Tensor x = leaf(3, {4});
  Tensor h = x * 2.0;
  zero_(as_strided(h, {2}, {1}, 0));
  sum(h).backward();
  EXPECT_EQ(at(x.grad(), 0), 0);
  EXPECT_EQ(at(x.grad(), 3), 2);
}

TEST(Engine, MillionOpsOnAnOrdinaryStack) {
  // A thread with 256 KiB of stack: a recursion over the graph would need a hundred times that.
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, 256 * 1024);
  double result = 0;
  pthread_t thread;
  ASSERT_EQ(pthread_create(
                &thread, &attributes,
                [](void* out) -> void* {
                  Tensor x = leaf(1, {1});
                  Tensor y = x;
                  for (int i = 0; i < 1000000; ++i) y = y * 1.0;
                  Tensor freed_unused = y * 2.0;
                  y.backward();
                  *static_cast<double*>(out) = at(x.grad());
                  return nullptr;
                },
                &result),
            0);
  pthread_join(thread, nullptr);
  pthread_attr_destroy(&attributes);
  EXPECT_EQ(result, 1);
}

TEST(Engine, FreesGraphsWithoutCycles) {
  // The gradient's storage is seen by nobody but the leaf: everything else of the graph is gone.
  Tensor x = leaf(3);
  Tensor kept;
  {
    Tensor y = div(x, x);
    kept = y.detach();
    sum(y).backward();
  }
  EXPECT_EQ(kept.storage()->use_count(), 1u);
  EXPECT_EQ(x.storage()->use_count(), 1u);
}

TEST(Engine, BackwardFromSeveralThreads) {
  Tensor w = leaf(2, {1});
  std::vector<std::thread> threads;
  std::vector<double> results(4);
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&, i] {
      for (int k = 0; k < 200; ++k) results[i] = at(autograd::grad({mul(w, w)}, {w})[0]);
    });
  for (auto& t : threads) t.join();
  for (double r : results) EXPECT_EQ(r, 4);
}

TEST(Modes, RecordNothingWhenOff) {
  Tensor x = leaf(3);
  {
    autograd::NoGrad off;
    EXPECT_FALSE(mul(x, x).requires_grad());
    autograd::GradMode on(true);
    EXPECT_TRUE(mul(x, x).requires_grad());
  }
  Tensor made;
  {
    autograd::InferenceMode inference;
    made = mul(x, x);
    EXPECT_FALSE(made.requires_grad());
  }
  EXPECT_ERROR(Error, mul(x, made), "Inference tensors cannot be saved for backward");
  EXPECT_ERROR(Error, made.requires_grad_(), "inference tensor");
}

class Doubling final : public autograd::Hook {
 public:
  Tensor call(const Tensor& g) override {
    ++calls;
    return g * 2.0;
  }
  int calls = 0;
};

TEST(Hooks, ReplaceGradientsAndCanBeRemoved) {
  Tensor x = leaf(3);
  Tensor h = x * 1.0;
  auto* hook = new Doubling;
  Ref<autograd::Hook> keep(hook);
  const uint64_t on_leaf = autograd::add_hook(x, keep);
  const uint64_t on_node = autograd::add_hook(h, keep);
  autograd::retain_grad(h);
  sum(h).backward({}, true);
  EXPECT_EQ(hook->calls, 2);
  EXPECT_EQ(at(h.grad()), 2);
  EXPECT_EQ(at(x.grad()), 4);
  autograd::remove_hook(x, on_leaf);
  autograd::remove_hook(h, on_node);
  sum(h).backward();
  EXPECT_EQ(hook->calls, 2);
  EXPECT_EQ(at(x.grad()), 5);
}

class Counting final : public autograd::Hook {
 public:
  Tensor call(const Tensor& leaf) override {
    seen = at(leaf.grad());
    return {};
  }
  double seen = 0;
};

TEST(Hooks, PostAccumulateSeesTheFinalGradient) {
  Tensor x = leaf(3);
  auto* hook = new Counting;
  autograd::add_post_accumulate_hook(x, Ref<autograd::Hook>(hook));
  sum(mul(x, x) + x).backward();
  EXPECT_EQ(hook->seen, 7);
  EXPECT_ERROR(Error, autograd::add_post_accumulate_hook(x * 1.0, Ref<autograd::Hook>(new Counting)), "non-leaf");
  EXPECT_ERROR(Error, autograd::add_hook(x.detach(), Ref<autograd::Hook>(new Counting)), "doesn't require gradient");
}

TEST(Anomaly, NamesTheOpThatMadeNaN) {
  autograd::set_anomaly_enabled(true);
  Tensor x = leaf(0);
  Tensor y = div(x, x);
  EXPECT_ERROR(Error, sum(y).backward(), "Function 'DivBackward0' returned nan values");
  autograd::set_anomaly_enabled(false);
}

}  // namespace
}  // namespace norch
