// Tables of the plans of NVIDIA's libraries, by all that a plan depends on.
#pragma once

#include <cstdint>
#include <cstring>
#include <type_traits>
#include <unordered_map>

namespace norch::cuda {

/// A table by keys that are compared and hashed as bytes: of a key every byte has to be set, padding too.
template <class Key>
struct ByteHash {
  static_assert(std::is_trivially_copyable_v<Key> && sizeof(Key) % 8 == 0, "a key consists of whole words");
  size_t operator()(const Key& key) const {
    uint64_t words[sizeof(Key) / 8], h = 0x9E3779B97F4A7C15ull;
    std::memcpy(words, &key, sizeof(Key));
    for (uint64_t w : words) h = (h ^ w) * 0xD6E8FEB86659FD93ull, h ^= h >> 32;
    return static_cast<size_t>(h);
  }
};
template <class Key>
struct ByteEqual {
  bool operator()(const Key& a, const Key& b) const { return std::memcmp(&a, &b, sizeof(Key)) == 0; }
};
template <class Key, class Value>
using ByteMap = std::unordered_map<Key, Value, ByteHash<Key>, ByteEqual<Key>>;

}  // namespace norch::cuda
