#include <algorithm>
#include <cstring>
#include <string_view>

#include "core/blocking.h"
#include "core/factory.h"
#include "io/file.h"
#include "io/json.h"
#include "norch/io.h"

namespace norch {

namespace {

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "safetensors files are little-endian");

constexpr uint64_t kMaxHeader = 100'000'000;  // as the format's own library
constexpr char kMetadata[] = "__metadata__";

constexpr const char* kNames[kNumDTypes] = {"BOOL", "U8",  "U16", "U32",  "U64", "I8",  "I16", "I32",
                                             "I64",  "F16", "BF16", "F32", "F64", "C64", "C128"};

struct Entry {
  std::string name;
  DType dtype;
  Shape shape;
  uint64_t begin, end;
};

/// A header's entries, each checked by itself as the parser hands it over.
class Header final : public json::MemberSink {
 public:
  explicit Header(uint64_t data_size) : data_size_(data_size) {}

  void member(std::string name, json::Value value) override {
    if (name == kMetadata)
      metadata_member(value);
    else
      tensor_member(std::move(name), value);
  }

  /// What only shows when all entries are there: names that appear twice, bytes that belong to none or to two.
  void check() const {
    std::vector<const Entry*> order;
    order.reserve(entries.size());
    for (const Entry& e : entries) order.push_back(&e);
    std::sort(order.begin(), order.end(), [](const Entry* a, const Entry* b) { return a->name < b->name; });
    for (size_t i = 1; i < order.size(); ++i)
      NORCH_CHECK_VALUE(order[i - 1]->name != order[i]->name, "tensor \"", order[i]->name, "\" appears twice");
    std::sort(order.begin(), order.end(), [](const Entry* a, const Entry* b) {
      return a->begin != b->begin ? a->begin < b->begin : a->end < b->end;
    });
    uint64_t at = 0;
    for (const Entry* e : order) {
      NORCH_CHECK_VALUE(e->begin >= at, "tensor \"", e->name, "\" overlaps another one (bytes ", e->begin, " to ",
                        e->end, ")");
      NORCH_CHECK_VALUE(e->begin == at, "bytes ", at, " to ", e->begin, " belong to no tensor");
      at = e->end;
    }
    NORCH_CHECK_VALUE(at == data_size_, "the tensors take ", at, " bytes, but ", data_size_, " follow the header");
  }

  std::vector<Entry> entries;
  TextMap metadata;

 private:
  void metadata_member(const json::Value& value) {
    NORCH_CHECK_VALUE(!has_metadata_, kMetadata, " appears twice");
    NORCH_CHECK_VALUE(value.is(json::Value::Kind::Object), kMetadata, " is not an object");
    has_metadata_ = true;
    for (const auto& [key, text] : value.members) {
      NORCH_CHECK_VALUE(text.is(json::Value::Kind::Text), kMetadata, " \"", key, "\" is not a string");
      metadata.emplace_back(key, text.text);
    }
  }

  void tensor_member(std::string name, const json::Value& value) {
    using Kind = json::Value::Kind;
    NORCH_CHECK_VALUE(value.is(Kind::Object), "the entry of tensor \"", name, "\" is not an object");
    const json::Value* dtype = value.find("dtype");
    const json::Value* shape = value.find("shape");
    const json::Value* offsets = value.find("data_offsets");
    NORCH_CHECK_VALUE(dtype && dtype->is(Kind::Text), "tensor \"", name, "\" has no dtype");
    NORCH_CHECK_VALUE(shape && shape->is(Kind::Array), "tensor \"", name, "\" has no shape");
    NORCH_CHECK_VALUE(offsets && offsets->is(Kind::Array) && offsets->items.size() == 2, "tensor \"", name,
                      "\" has no data_offsets [begin, end]");
    Entry e;
    e.dtype = dtype_of_name(name, dtype->text);
    uint64_t bytes = itemsize(e.dtype);
    for (const json::Value& size : shape->items) {
      NORCH_CHECK_VALUE(size.is(Kind::Integer), "tensor \"", name, "\" has a size that is not a non-negative integer");
      e.shape.push_back(size.integer);
    }
    NORCH_CHECK_VALUE(e.shape.size() <= static_cast<size_t>(kMaxTensorDims), "tensor \"", name, "\" has ",
                      e.shape.size(), " dims; at most ", kMaxTensorDims, " are supported");
    // Sizes are multiplied with any zero left out, since strides of an empty tensor must not overflow either.
    bool empty = false;
    for (int64_t n : e.shape) {
      empty |= n == 0;
      NORCH_CHECK_VALUE(n == 0 || (!__builtin_mul_overflow(bytes, static_cast<uint64_t>(n), &bytes) &&
                                   bytes < (uint64_t{1} << 62)),
                        "tensor \"", name, "\": shape ", e.shape, " is too large");
    }
    if (empty) bytes = 0;
    for (const json::Value& offset : offsets->items)
      NORCH_CHECK_VALUE(offset.is(Kind::Integer), "tensor \"", name,
                        "\" has a data offset that is not a non-negative integer");
    e.begin = static_cast<uint64_t>(offsets->items[0].integer);
    e.end = static_cast<uint64_t>(offsets->items[1].integer);
    NORCH_CHECK_VALUE(e.begin <= e.end && e.end <= data_size_, "tensor \"", name, "\" is at bytes ", e.begin, " to ",
                      e.end, ", outside the file's ", data_size_, " bytes of data");
    NORCH_CHECK_VALUE(e.end - e.begin == bytes, "tensor \"", name, "\" of dtype ", dtype->text, " and shape ", e.shape,
                      " takes ", bytes, " bytes, but its place has ", e.end - e.begin);
    e.name = std::move(name);
    entries.push_back(std::move(e));
  }

  static DType dtype_of_name(const std::string& tensor, const std::string& text) {
    for (int i = 0; i < kNumDTypes; ++i)
      if (text == kNames[i]) return static_cast<DType>(i);
    NORCH_RAISE(ValueError, "tensor \"", tensor, "\" has dtype \"", text, "\", which norch does not have");
  }

  uint64_t data_size_;
  bool has_metadata_ = false;
};

/// Reads through `read(offset, to, n)` from a source of `size` bytes.
template <class Read>
SafetensorsFile load(uint64_t size, const Read& read) {
  NORCH_CHECK_VALUE(size >= 8, "it has ", size, " bytes, too few for a header");
  uint64_t header_size = 0;
  read(0, &header_size, 8);
  NORCH_CHECK_VALUE(header_size <= kMaxHeader, "its header claims ", header_size, " bytes; at most ", kMaxHeader,
                    " are allowed");
  NORCH_CHECK_VALUE(header_size <= size - 8, "its header claims ", header_size, " bytes, but only ", size - 8,
                    " follow");
  std::string text(static_cast<size_t>(header_size), '\0');
  read(8, text.data(), text.size());
  NORCH_CHECK_VALUE(!text.empty() && text[0] == '{', "its header does not start with '{'");
  const uint64_t data_at = 8 + header_size;
  Header header(size - data_at);
  json::parse_object(text, header);
  header.check();

  SafetensorsFile file;
  file.metadata = std::move(header.metadata);
  file.tensors.reserve(header.entries.size());
  for (Entry& e : header.entries) {
    Tensor t = new_tensor(e.shape, e.dtype, kCPU);
    auto* bytes = static_cast<unsigned char*>(t.data_ptr());
    const auto n = static_cast<size_t>(e.end - e.begin);
    read(data_at + e.begin, bytes, n);
    // A bool is 0 or 1; other bytes would be undefined behaviour wherever it is read.
    if (e.dtype == kBool)
      for (size_t i = 0; i < n; ++i) bytes[i] = bytes[i] != 0;
    file.tensors.emplace_back(std::move(e.name), std::move(t));
  }
  return file;
}

template <class Load>
SafetensorsFile named(const std::string& name, const Load& load_it) {
  try {
    return load_it();
  } catch (const ValueError& e) {
    NORCH_RAISE(ValueError, "load_safetensors: '", name, "' is not a valid safetensors file: ", e.what());
  }
}

void check_text(const char* what, const std::string& text) {
  NORCH_CHECK_VALUE(json::is_utf8(text), "save_safetensors: ", what, " is not UTF-8 text");
}

}  // namespace

SafetensorsFile load_safetensors(const std::string& path) {
  const BlockingScope blocking;
  const io::InputFile file(path);
  return named(path, [&] {
    return load(file.size(), [&](uint64_t offset, void* to, size_t n) { file.read(offset, to, n); });
  });
}

SafetensorsFile parse_safetensors(const void* bytes, size_t size, const std::string& name) {
  return named(name, [&] {
    return load(size, [&](uint64_t offset, void* to, size_t n) {
      if (n) std::memcpy(to, static_cast<const char*>(bytes) + offset, n);
    });
  });
}

void save_safetensors(const NamedTensors& tensors, const std::string& path, const TextMap& metadata) {
  // Widest elements first, so that every tensor is aligned in the file; then by name.
  std::vector<const std::pair<std::string, Tensor>*> order;
  for (const auto& each : tensors) {
    NORCH_CHECK_TYPE(each.second.defined(), "save_safetensors: tensor \"", each.first, "\" is None");
    NORCH_CHECK_VALUE(each.first != kMetadata, "save_safetensors: a tensor cannot be named ", kMetadata);
    check_text("a tensor's name", each.first);
    order.push_back(&each);
  }
  std::sort(order.begin(), order.end(), [](const auto* a, const auto* b) { return a->first < b->first; });
  for (size_t i = 1; i < order.size(); ++i)
    NORCH_CHECK_VALUE(order[i - 1]->first != order[i]->first, "save_safetensors: the name \"", order[i]->first,
                      "\" appears twice");
  std::stable_sort(order.begin(), order.end(),
                   [](const auto* a, const auto* b) { return a->second.itemsize() > b->second.itemsize(); });

  std::string header = "{";
  if (!metadata.empty()) {
    header += "\"__metadata__\":{";
    for (size_t i = 0; i < metadata.size(); ++i) {
      const auto& [key, text] = metadata[i];
      check_text("metadata", key);
      check_text("metadata", text);
      for (size_t j = 0; j < i; ++j)
        NORCH_CHECK_VALUE(metadata[j].first != key, "save_safetensors: the metadata name \"", key, "\" appears twice");
      if (i) header += ',';
      json::append_quoted(header, key);
      header += ':';
      json::append_quoted(header, text);
    }
    header += '}';
  }
  uint64_t at = 0;
  for (const auto* each : order) {
    const Tensor& t = each->second;
    const uint64_t end = at + static_cast<uint64_t>(t.numel()) * t.itemsize();
    if (header.size() > 1) header += ',';
    json::append_quoted(header, each->first);
    header += str(":{\"dtype\":\"", kNames[static_cast<int>(t.dtype())], "\",\"shape\":[");
    for (int64_t d = 0; d < t.dim(); ++d) header += str(d ? "," : "", t.sizes()[d]);
    header += str("],\"data_offsets\":[", at, ",", end, "]}");
    at = end;
  }
  header += '}';
  header.resize((header.size() + 7) / 8 * 8, ' ');
  NORCH_CHECK_VALUE(header.size() <= kMaxHeader, "save_safetensors: the header would take ", header.size(),
                    " bytes; at most ", kMaxHeader, " are allowed");

  io::OutputFile file(path);
  const uint64_t header_size = header.size();
  file.write(&header_size, 8);
  file.write(header.data(), header.size());
  for (const auto* each : order) {
    const Tensor t = each->second.detach().to(kCPU).contiguous();
    const BlockingScope blocking;
    file.write(t.data_ptr(), static_cast<size_t>(t.numel()) * t.itemsize());
  }
  file.commit();
}

}  // namespace norch
