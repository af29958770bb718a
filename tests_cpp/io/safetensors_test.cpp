#include <gtest/gtest.h>

#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>

#include "io/json.h"
#include "norch/io.h"
#include "norch/ops.h"

namespace norch {
namespace {

std::string file_of(const std::string& header, const std::string& data = "") {
  const uint64_t n = header.size();
  std::string s(reinterpret_cast<const char*>(&n), 8);
  return s + header + data;
}
SafetensorsFile parse(const std::string& s) { return parse_safetensors(s.data(), s.size()); }
std::string error_of(const std::string& s) {
  try {
    parse(s);
  } catch (const ValueError& e) {
    return e.what();
  }
  return "no error";
}

class SafetensorsDisk : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() / ("norch_io_" + std::to_string(::getpid()));
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::string path(const char* name) const { return (folder_ / name).string(); }
  std::filesystem::path folder_;
};

TEST_F(SafetensorsDisk, RoundTripOfEveryDtype) {
  NamedTensors tensors;
  for (int i = 0; i < kNumDTypes; ++i) {
    const auto type = static_cast<DType>(i);
    tensors.emplace_back(str("t.", type), full({2, 3}, i, type));
  }
  tensors.emplace_back("scalar \"quoted\"\n\xC3\xA9", full({}, 2.5));
  tensors.emplace_back("empty", zeros({0, 4}));
  tensors.emplace_back("strided", transpose(reshape(full({6}, 1.5), {2, 3}), 0, 1));
  save_safetensors(tensors, path("all"), {{"format", "pt"}, {"note", "a\tb\x01"}});
  const SafetensorsFile back = load_safetensors(path("all"));
  ASSERT_EQ(back.tensors.size(), tensors.size());
  EXPECT_EQ(back.metadata, (TextMap{{"format", "pt"}, {"note", "a\tb\x01"}}));
  for (const auto& [name, t] : tensors) {
    bool found = false;
    for (const auto& [other, u] : back.tensors) {
      if (other != name) continue;
      found = true;
      EXPECT_EQ(u.dtype(), t.dtype());
      EXPECT_EQ(u.sizes(), t.sizes());
      EXPECT_EQ(0, std::memcmp(u.data_ptr(), t.contiguous().data_ptr(), t.numel() * t.itemsize()));
    }
    EXPECT_TRUE(found) << name;
  }
  // Nothing but the file itself is left behind.
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_), {}), 1);
}

TEST_F(SafetensorsDisk, FailedSavesLeaveTheOldFile) {
  save_safetensors({{"a", ones({2})}}, path("f"));
  EXPECT_THROW(save_safetensors({{"a", ones({2})}, {"a", ones({2})}}, path("f")), ValueError);
  EXPECT_THROW(save_safetensors({{"__metadata__", ones({2})}}, path("f")), ValueError);
  EXPECT_THROW(save_safetensors({{"\xFF", ones({2})}}, path("f")), ValueError);
  EXPECT_THROW(save_safetensors({{"a", ones({2})}}, path("f"), {{"k", "1"}, {"k", "2"}}), ValueError);
  EXPECT_THROW(save_safetensors({{"a", ones({2})}}, path("no/such/folder")), Error);
  EXPECT_EQ(load_safetensors(path("f")).tensors.size(), 1u);
  EXPECT_THROW(load_safetensors(path("missing")), Error);
  EXPECT_THROW(load_safetensors(folder_.string()), Error);
  EXPECT_THROW(load_safetensors(std::string("a\0b", 3)), ValueError);
}

TEST(Safetensors, RefusesWhatIsWrong) {
  const std::string ok = R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})";
  EXPECT_EQ(parse(file_of(ok, std::string(8, 'x'))).tensors.size(), 1u);
  EXPECT_EQ(parse(file_of(ok + "   ", std::string(8, 'x'))).tensors.size(), 1u);
  EXPECT_EQ(parse(file_of("{}")).tensors.size(), 0u);
  const std::vector<std::pair<std::string, const char*>> wrong = {
      {"", "too few"},
      {"\x01\x02", "too few"},
      {std::string(8, '\xFF'), "claims"},
      {std::string("\x10\0\0\0\0\0\0\0", 8) + "{}", "only 2 follow"},
      {file_of(""), "start with"},
      {file_of(" {}"), "start with"},
      {file_of(ok, std::string(7, 'x')), "outside the file"},
      {file_of(ok, std::string(9, 'x')), "follow the header"},
      {file_of(ok + "x", std::string(8, 'x')), "after the end"},
      {file_of(R"({"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}})", std::string(8, 'x')), "takes 12 bytes"},
      {file_of(R"({"a":{"dtype":"F33","shape":[2],"data_offsets":[0,8]}})", std::string(8, 'x')), "does not have"},
      {file_of(R"({"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}})", std::string(8, 'x')), "non-negative"},
      {file_of(R"({"a":{"dtype":"F32","shape":[2.0],"data_offsets":[0,8]}})", std::string(8, 'x')), "non-negative"},
      {file_of(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}})", std::string(8, 'x')), "outside"},
      {file_of(R"({"a":{"dtype":"F32","shape":[2]}})", std::string(8, 'x')), "no data_offsets"},
      {file_of(R"({"a":{"shape":[2],"data_offsets":[0,8]}})", std::string(8, 'x')), "no dtype"},
      {file_of(R"({"a":[]})"), "not an object"},
      {file_of(R"({"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,8]}})", std::string(8, 'x')),
       "too large"},
      {file_of(R"({"a":{"dtype":"F32","shape":[0,4611686018427387904,4],"data_offsets":[0,0]}})"), "too large"},
      {file_of(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[2,6]}})",
               "abcdef"),
       "overlaps"},
      {file_of(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[4,6]}})",
               "abcdef"),
       "belong to no tensor"},
      {file_of(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})",
               "ab"),
       "twice"},
      {file_of(R"({"__metadata__":{"a":1}})"), "not a string"},
      {file_of(R"({"__metadata__":{"a":"1","a":"2"}})"), "twice"},
      {file_of(R"({"__metadata__":{},"__metadata__":{}})"), "twice"},
      {file_of("{\"\xFF\":1}"), "UTF-8"},
      {file_of("{\"\\ud800\":1}"), "surrogate"},
      {file_of("{\"a\":" + std::string(1000, '[')), "deeply"},
      {file_of("{\"a\":[" + std::string(2000, '0') + "]}"), "leading zero"},
  };
  for (const auto& [bytes, text] : wrong)
    EXPECT_NE(error_of(bytes).find(text), std::string::npos) << text << " | " << error_of(bytes);
}

TEST(Safetensors, BoolsAreZeroOrOne) {
  const Tensor t =
      parse(file_of(R"({"a":{"dtype":"BOOL","shape":[3],"data_offsets":[0,3]}})", std::string("\0\x02\xFF", 3))).tensors[0].second;
  EXPECT_EQ(0, std::memcmp(t.data_ptr(), "\0\1\1", 3));
}

// Damaged files of every kind: each either loads or raises ValueError; the sanitizers watch the rest.
TEST(Safetensors, SurvivesDamage) {
  const std::string header =
      R"({"__metadata__":{"k":"v\u00e9"},"a.weight":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]},)"
      R"("b":{"dtype":"BF16","shape":[3],"data_offsets":[16,22]},"c":{"dtype":"BOOL","shape":[],"data_offsets":[22,23]}})";
  const std::string good = file_of(header, std::string(23, '\1'));
  ASSERT_EQ(parse(good).tensors.size(), 3u);
  std::mt19937 random(1234);
  int loaded = 0, refused = 0;
  for (int round = 0; round < 20000; ++round) {
    std::string bad = good;
    const int edits = 1 + static_cast<int>(random() % 3);
    for (int e = 0; e < edits && !bad.empty(); ++e) {
      const size_t at = random() % bad.size();
      switch (random() % 6) {
        case 0: bad[at] = static_cast<char>(random()); break;
        case 1: bad[at] = static_cast<char>(bad[at] ^ (1 << (random() % 8))); break;
        case 2: bad.erase(at, 1 + random() % 8); break;
        case 3: bad.insert(at, std::string(1 + random() % 4, "0123456789[]{},:\"\\-e."[random() % 22])); break;
        case 4: bad.resize(at); break;
        default: bad += bad.substr(at, random() % 40); break;
      }
    }
    // Half of the time the length is put right again, so that the damage reaches the parser.
    if (random() % 2 && bad.size() > 31) {
      const uint64_t n = bad.size() - 8 - 23;
      std::memcpy(&bad[0], &n, 8);
    }
    try {
      parse(bad);
      ++loaded;
    } catch (const ValueError&) {
      ++refused;
    }
  }
  EXPECT_EQ(loaded + refused, 20000);
  EXPECT_GT(refused, 10000);
}

TEST(Json, Utf8) {
  EXPECT_TRUE(json::is_utf8("a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80"));
  for (const char* bad : {"\x80", "\xC0\x80", "\xC3", "\xE0\x80\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80"})
    EXPECT_FALSE(json::is_utf8(bad));
}

TEST(Json, Escapes) {
  struct Sink final : json::MemberSink {
    void member(std::string name, json::Value value) override { got.emplace_back(std::move(name), value.text); }
    TextMap got;
  } sink;
  json::parse_object(R"({"\u0041\ud83d\ude00" : "\"\\\/\b\f\n\r\t"})", sink);
  EXPECT_EQ(sink.got, (TextMap{{"A\xF0\x9F\x98\x80", "\"\\/\b\f\n\r\t"}}));
  std::string quoted;
  json::append_quoted(quoted, "\"\\\n\x1F");
  EXPECT_EQ(quoted, "\"\\\"\\\\\\n\\u001f\"");
}

}  // namespace
}  // namespace norch
