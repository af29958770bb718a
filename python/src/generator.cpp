// norch.Generator, and the seed of the default one.
#include "generator.h"

#include <cstring>

#include "bind.h"
#include "norch/ops.h"

namespace norch::python {

namespace {

/// PyTorch takes seeds in [-2^63, 2^64); negative ones count from above.
uint64_t seed_of(nb::handle seed) {
  nb::object number = nb::steal(PyNumber_Index(seed.ptr()));
  if (!number.is_valid()) throw nb::python_error();
  const bool negative = PyObject_RichCompareBool(number.ptr(), nb::int_(0).ptr(), Py_LT) == 1;
  const uint64_t value = negative ? static_cast<uint64_t>(PyLong_AsLongLong(number.ptr()))
                                  : PyLong_AsUnsignedLongLong(number.ptr());
  if (PyErr_Occurred()) {
    PyErr_Clear();
    NORCH_RAISE(ValueError, "manual_seed: a seed must lie in [-2^63, 2^64), got ", nb::str(number).c_str());
  }
  return value;
}

Tensor state_tensor(Generator& g) {
  const std::vector<uint8_t> bytes = g.save_state();
  Tensor t = empty({static_cast<int64_t>(bytes.size())}, kUInt8);
  std::memcpy(t.data_ptr(), bytes.data(), bytes.size());
  return t;
}

void set_state(Generator& g, const Tensor& state) {
  NORCH_CHECK_TYPE(state.dtype() == kUInt8, "expected a uint8 tensor of state, got ", state);
  const Tensor t = state.detach().to(kCPU).contiguous();
  g.load_state(static_cast<const uint8_t*>(t.data_ptr()), static_cast<size_t>(t.numel()));
}

nb::bytes state_bytes(Generator& g) {
  const std::vector<uint8_t> bytes = g.save_state();
  return nb::bytes(bytes.data(), bytes.size());
}

uint64_t mixed(uint64_t h, uint64_t v) {
  h = (h ^ v) * 0x9E3779B97F4A7C15u;
  return h ^ (h >> 29);
}

/// The seed for programs that seed only Python's `random`: a hash of its state, which stays as it is.
uint64_t seed_from_python_random() {
  nb::gil_scoped_acquire gil;
  nb::tuple state = nb::cast<nb::tuple>(nb::module_::import_("random").attr("getstate")());
  uint64_t h = 0x6E6F726368u;
  for (nb::handle word : nb::cast<nb::tuple>(state[1])) h = mixed(h, nb::cast<uint64_t>(word));
  if (nb::isinstance<nb::float_>(state[2])) {
    const double v = nb::cast<double>(state[2]);
    uint64_t bits;
    std::memcpy(&bits, &v, 8);
    h = mixed(h, bits);
  }
  return mixed(h, 0);
}

}  // namespace

void bind_generator(Binder& b) {
  set_default_seed_source(seed_from_python_random);

  nb::class_<GeneratorObject>(b.root, "Generator",
                              "Generator(device='cpu'): a stream of random numbers of its own. The numbers are the same "
                              "on every device.")
      .def(
          "__init__",
          [](GeneratorObject* self, Device device) {
            new (self) GeneratorObject{Ref<Generator>(new Generator(67280421310721u)), device};
          },
          "device"_a = Device())
      .def_prop_ro("device", [](const GeneratorObject& g) { return g.device; })
      .def(
          "manual_seed",
          [](nb::handle_t<GeneratorObject> self, nb::handle seed) {
            nb::cast<GeneratorObject&>(self).generator->manual_seed(seed_of(seed));
            return nb::borrow(self);
          },
          "Starts the stream of that seed; returns the generator.", "seed"_a)
      .def(
          "seed", [](const GeneratorObject& g) { return g.generator->reseed(); },
          "Starts a stream with a seed from the operating system; returns the seed.")
      .def("initial_seed", [](const GeneratorObject& g) { return g.generator->initial_seed(); })
      .def(
          "get_state", [](const GeneratorObject& g) { return state_tensor(*g.generator); },
          "Where the stream is: seed and draw number, as 16 bytes; of PyTorch's stream, the 5056 bytes that PyTorch "
          "has.")
      .def(
          "set_state", [](const GeneratorObject& g, const Tensor& state) { set_state(*g.generator, state); }, "new_state"_a)
      .def("clone_state",
           [](const GeneratorObject& g) {
             Ref<Generator> copy(new Generator(0, g.generator->engine()));
             const std::vector<uint8_t> bytes = g.generator->save_state();
             copy->load_state(bytes.data(), bytes.size());
             return GeneratorObject{std::move(copy), g.device};
           })
      .def("__getstate__",
           [](const GeneratorObject& g) {
             const bool twister = g.generator->engine() == RandomEngine::Twister;
             return nb::make_tuple(twister ? "twister" : "philox", state_bytes(*g.generator), g.device.str());
           })
      .def("__setstate__",
           [](GeneratorObject& g, const std::tuple<std::string, nb::bytes, std::string>& state) {
             const auto& [engine, bytes, device] = state;
             NORCH_CHECK_VALUE(engine == "twister" || engine == "philox", "Generator: unknown engine '", engine, "'");
             Ref<Generator> copy(
                 new Generator(0, engine == "twister" ? RandomEngine::Twister : RandomEngine::Philox));
             copy->load_state(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
             new (&g) GeneratorObject{std::move(copy), Device(device)};
           })
      .def("__repr__", [](const GeneratorObject& g) { return str("<norch.Generator device=", g.device, ">"); });

  b.root.attr("default_generator") = nb::cast(GeneratorObject{Ref<Generator>(&default_generator()), Device()});
  b.function(
      "manual_seed",
      [root = b.root](nb::handle seed) {
        // Whatever int() takes, as in PyTorch.
        nb::object number = nb::steal(PyNumber_Long(seed.ptr()));
        if (!number.is_valid()) throw nb::python_error();
        default_generator().manual_seed(seed_of(number));
        return nb::object(root.attr("default_generator"));
      },
      "manual_seed(seed) -> Generator\n\nSeeds the default generator, whose numbers are the same on every device.",
      "seed"_a);
  nb::module_ m = b.root.def_submodule("_random", "What norch.random is made of.");
  b.in(m, "use_pytorch_stream",
       [](bool enabled) { set_random_engine(enabled ? RandomEngine::Twister : RandomEngine::Philox); },
       "use_pytorch_stream(enabled=True)", "enabled"_a = true);
  b.in(m, "uses_pytorch_stream", [] { return random_engine() == RandomEngine::Twister; },
       "uses_pytorch_stream() -> bool");
  b.function(
      "seed", [] { return default_generator().reseed(); },
      "seed() -> int\n\nSeeds the default generator from the operating system; returns the seed.");
  b.function(
      "initial_seed", [] { return default_generator().initial_seed(); },
      "initial_seed() -> int\n\nThe seed of the default generator. Not set by hand, it comes from the state of Python's "
      "`random`.");
  b.function(
      "get_rng_state", [] { return state_tensor(default_generator()); },
      "get_rng_state() -> Tensor\n\nThe state of the default generator, as bytes.");
  b.function(
      "set_rng_state", [](const Tensor& state) { set_state(default_generator(), state); },
      "set_rng_state(new_state)\n\nSets the state of the default generator.", "new_state"_a);
}

}  // namespace norch::python
