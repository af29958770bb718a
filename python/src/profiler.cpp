// norch._C._profiler. Ops are recorded where Python calls them: while something profiles, the entry of every bound
// function leads here first (bound_functions.h), so that otherwise calls cost what they always do.
#include "profiler.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <string_view>
#include <unordered_map>

#include "bound_functions.h"

namespace norch::python {

namespace {

using profiler::Kind;
using profiler::detail::Token;

// ---- what is recorded of a call

bool g_shapes = false, g_stacks = false;  // guarded by the GIL

profiler::TensorInfo info_of(const Tensor& t) { return {Shape(t.sizes()), t.dtype(), t.requires_grad()}; }

profiler::Input input_of(PyObject* o) {
  profiler::Input input;
  if (is_tensor(o)) {
    input.tensors.push_back(info_of(unwrap(o)));
  } else if (PyTuple_Check(o) || PyList_Check(o)) {
    const Py_ssize_t n = PySequence_Fast_GET_SIZE(o);
    for (Py_ssize_t i = 0; i < n; ++i) {
      PyObject* item = PySequence_Fast_ITEMS(o)[i];
      if (!is_tensor(item)) continue;
      input.is_list = true;
      input.tensors.push_back(info_of(unwrap(item)));
    }
  }
  return input;
}

std::string text_of(PyObject* unicode) {
  const char* text = PyUnicode_AsUTF8(unicode);
  if (!text) PyErr_Clear();
  return text ? text : "?";
}

/// The Python frames that led here, innermost first.
std::string python_stack() {
  std::string lines;
  PyFrameObject* frame = PyEval_GetFrame();
  Py_XINCREF(frame);
  while (frame) {
    PyCodeObject* code = PyFrame_GetCode(frame);
    lines += text_of(code->co_filename) + "(" + std::to_string(PyFrame_GetLineNumber(frame)) + "): " + text_of(code->co_name) + "\n";
    Py_DECREF(code);
    PyFrameObject* outer = PyFrame_GetBack(frame);
    Py_DECREF(frame);
    frame = outer;
  }
  if (!lines.empty()) lines.pop_back();
  return lines;
}

Token enter_op(const std::string& name, std::vector<profiler::Input> inputs) {
  return profiler::detail::enter(name, Kind::Op, profiler::detail::next_sequence(), std::move(inputs),
                                 g_stacks ? python_stack() : std::string());
}

// ---- calls of bound functions

struct BoundOp {
  std::string name;
  bool without_tensors;  // an op though it returns no tensor
};
/// The bound functions that are ops. The caller holds the GIL.
const std::unordered_map<const BoundFunction*, BoundOp>& bound_ops();

bool has_tensor(PyObject* result) {
  if (is_tensor(result)) return true;
  if (!PyTuple_Check(result) && !PyList_Check(result)) return false;
  PyObject** items = PySequence_Fast_ITEMS(result);
  return std::any_of(items, items + PySequence_Fast_GET_SIZE(result), is_tensor);
}

PyObject* recorded_call(const BoundCall& call) {
  const auto op = bound_ops().find(call.function);
  if (op == bound_ops().end() || !profiler::on()) return call.proceed();  // off: in a forked process
  Token token;
  try {
    std::vector<profiler::Input> inputs;
    if (g_shapes)
      for (Py_ssize_t i = 0; i < call.count(); ++i) inputs.push_back(input_of(call.args[i]));
    token = enter_op(op->second.name, std::move(inputs));
  } catch (...) {
    set_python_error();
    return nullptr;
  }
  PyObject* result = call.proceed();
  if (g_shapes && result) profiler::detail::set_outputs(token, input_of(result).tensors);
  profiler::detail::leave(token, result && !op->second.without_tensors && !has_tensor(result));
  return result;
}

// ---- which functions are ops, and PyTorch's names for them

struct Names {
  std::string_view name, aten;
};
constexpr Names kRenamed[] = {
    {"cross_entropy", "cross_entropy_loss"}, {"logsigmoid", "log_sigmoid"}, {"fold", "col2im"},
    {"dropout1d", "feature_dropout"}, {"dropout2d", "feature_dropout"}, {"dropout3d", "feature_dropout"},
    {"adaptive_max_pool1d_with_indices", "adaptive_max_pool1d"}, {"_grid_sample", "grid_sampler"},
    {"adaptive_max_pool2d_with_indices", "adaptive_max_pool2d"}, {"_affine_grid", "affine_grid_generator"},
    {"adaptive_max_pool3d_with_indices", "adaptive_max_pool3d"}, {"half", "to"}, {"float", "to"}, {"double", "to"},
    {"bfloat16", "to"}, {"bool", "to"}, {"byte", "to"}, {"char", "to"}, {"short", "to"}, {"int", "to"}, {"long", "to"},
    {"cfloat", "to"}, {"cdouble", "to"}, {"new_tensor", "tensor"}, {"sgd_step", "_fused_sgd_"},
    {"adam_step", "_fused_adam_"}, {"rmsprop_step", "_fused_rmsprop_"}, {"adamax_step", "_fused_adamax_"},
    {"nadam_step", "_fused_nadam_"}, {"radam_step", "_fused_radam_"}, {"adagrad_step", "_fused_adagrad_"},
    {"adadelta_step", "_fused_adadelta_"}, {"rprop_step", "_fused_rprop_"}, {"asgd_step", "_fused_asgd_"},
    {"unscale_", "_amp_foreach_non_finite_check_and_unscale_"}, {"update_scale_", "_amp_update_scale_"},
    {"count_step", "_foreach_add_"}, {"zero_grad", "_foreach_zero_"}};
/// Not ops, though they return tensors.
constexpr std::string_view kNoOps[] = {"_as_subclass", "backward", "requires_grad_", "retain_grad"};
/// Ops, though they return none.
constexpr std::string_view kWithoutTensors[] = {"allclose", "equal", "is_nonzero", "item", "tolist"};

template <size_t N>
bool among(const std::string_view (&list)[N], std::string_view name) {
  return std::find(std::begin(list), std::end(list), name) != std::end(list);
}

const std::unordered_map<const BoundFunction*, BoundOp>& bound_ops() {
  static const auto* ops = [] {
    auto* found = new std::unordered_map<const BoundFunction*, BoundOp>;
    for (const auto& [object, function] : bound_functions()) {
      std::string name = function.name;
      if (among(kNoOps, name) || (name.size() > 2 && name.compare(0, 2, "__") == 0)) continue;
      const bool without_tensors = function.optimizer || among(kWithoutTensors, name);
      for (const Names& r : kRenamed)
        if (r.name == name) name = r.aten;
      const std::string prefix = function.prefix;
      if (name.compare(0, prefix.size(), prefix) != 0) name = prefix + name;
      found->emplace(&function, BoundOp{"aten::" + name, without_tensors});
    }
    return found;
  }();
  return *ops;
}

// ---- results

nb::object sizes_object(const profiler::TensorInfo& t) {
  nb::list sizes;
  for (int64_t size : Ints(t.sizes)) sizes.append(size);
  return sizes;
}

enum class Part { Sizes, DType, RequiresGrad };

/// That part of every argument: one value, or a list of them for a list.
nb::object inputs_object(const std::vector<profiler::Input>& inputs, Part part) {
  const bool dtypes = part != Part::Sizes;
  auto one = [part](const profiler::TensorInfo& t) -> nb::object {
    if (part == Part::DType) return nb::cast(t.dtype);
    return part == Part::Sizes ? sizes_object(t) : nb::object(nb::bool_(t.requires_grad));
  };
  nb::list out;
  for (const profiler::Input& input : inputs) {
    nb::list parts;
    for (const auto& t : input.tensors) parts.append(one(t));
    if (input.is_list || input.tensors.empty())
      out.append(dtypes && input.tensors.empty() ? nb::none() : nb::object(parts));
    else
      out.append(one(input.tensors[0]));
  }
  return out;
}

nb::tuple stop() {
  set_detour(kProfiler, nullptr);
  const profiler::Profile p = profiler::stop();
  nb::list events, allocations, device_events;
  for (const profiler::Event& e : p.events) {
    nb::list outputs;
    for (const profiler::TensorInfo& t : e.outputs) outputs.append(sizes_object(t));
    events.append(nb::make_tuple(e.name, static_cast<int>(e.kind), e.start, e.end, e.thread, e.parent, e.sequence,
                                 e.cpu_bytes, e.cuda_bytes, inputs_object(e.inputs, Part::Sizes),
                                 inputs_object(e.inputs, Part::DType), inputs_object(e.inputs, Part::RequiresGrad), outputs,
                                 e.stack));
  }
  for (const profiler::Allocation& a : p.allocations)
    allocations.append(nb::make_tuple(a.time, a.bytes, a.device.is_cuda() ? a.device.index : -1, a.event));
  for (const profiler::DeviceEvent& d : p.device_events)
    device_events.append(nb::make_tuple(d.name, static_cast<int>(d.kind), d.start, d.end, d.device, d.stream, d.event));
  return nb::make_tuple(p.start, p.end, events, allocations, device_events, p.no_device_events);
}

}  // namespace

void OpRange::begin(const char* name, std::initializer_list<const Tensor*> inputs) {
  std::vector<profiler::Input> shapes;
  if (g_shapes) {
    for (const Tensor* t : inputs) {
      profiler::Input input;
      if (t->defined()) input.tensors.push_back(info_of(*t));
      shapes.push_back(std::move(input));
    }
  }
  token_ = enter_op(name, std::move(shapes));
}

void bind_profiler(Binder& b) {
  nb::module_ m = b.root.def_submodule("_profiler", "What norch.profiler is made of.");
  nb::class_<Token>(m, "Token", "An event that runs.");
  b.in(
      m, "start",
      [](bool record_shapes, bool profile_memory, bool with_stack, bool cuda) {
        profiler::Options options;
        options.memory = profile_memory;
        options.cuda = cuda;
        profiler::start(options);
        g_shapes = record_shapes;
        g_stacks = with_stack;
        set_detour(kProfiler, recorded_call);
      },
      "Starts to record events of all threads. Raises RuntimeError while that is done already.", "record_shapes"_a,
      "profile_memory"_a, "with_stack"_a, "cuda"_a);
  b.in(m, "stop", &stop,
       "Ends it. Returns (start, end, events, allocations, device events, why there are no device events).");
  b.in(m, "on", &profiler::on, "Whether events are recorded.");
  b.in(
      m, "enter",
      [](const std::string& name) -> std::optional<Token> {
        if (!profiler::on()) return std::nullopt;
        return profiler::detail::enter(name, Kind::Range, -1, {}, g_stacks ? python_stack() : std::string());
      },
      "Begins a range of this thread's time; None while nothing is recorded.", "name"_a);
  b.in(
      m, "leave", [](const Token& token) { profiler::detail::leave(token); }, "Ends a range.", "token"_a);
}

}  // namespace norch::python
