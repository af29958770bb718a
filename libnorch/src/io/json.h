// A strict JSON reader for headers: RFC 8259, UTF-8 only, no duplicate keys, bounded depth and arrays.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace norch::json {

/// A parsed value. Numbers are kept only if they are integers in [0, 2^63); headers hold no others.
struct Value {
  enum class Kind : uint8_t { Null, Bool, Integer, OtherNumber, Text, Array, Object };
  Kind kind = Kind::Null;
  bool boolean = false;
  int64_t integer = 0;
  std::string text;
  std::vector<Value> items;                            // of an array
  std::vector<std::pair<std::string, Value>> members;  // of an object, in order

  bool is(Kind k) const { return kind == k; }
  /// The member of that name, or null.
  const Value* find(std::string_view name) const;
};

inline constexpr int kMaxDepth = 16;
inline constexpr size_t kMaxItems = 64;  // of an array

/// Receives the members of the outermost object, one after another.
class MemberSink {
 public:
  virtual void member(std::string name, Value value) = 0;

 protected:
  ~MemberSink() = default;
};

/// Parses a text that is one object (spaces may surround it). Its members go to `sink` as they are met, so that memory
/// stays in proportion to one member; names are the sink's to compare.
/// \throws ValueError with the position of the first fault.
void parse_object(std::string_view text, MemberSink& sink);
/// Whether the bytes are well-formed UTF-8: no overlong forms, no surrogates, nothing past U+10FFFF.
bool is_utf8(std::string_view text);
/// Appends the text as a JSON string, quotes included.
void append_quoted(std::string& out, std::string_view text);

}  // namespace norch::json
