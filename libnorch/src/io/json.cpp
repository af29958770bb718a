#include "io/json.h"

#include <algorithm>
#include <utility>

#include "norch/error.h"

namespace norch::json {

namespace {

void append_utf8(std::string& out, uint32_t c) {
  if (c < 0x80) {
    out += static_cast<char>(c);
  } else if (c < 0x800) {
    out += static_cast<char>(0xC0 | (c >> 6));
    out += static_cast<char>(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    out += static_cast<char>(0xE0 | (c >> 12));
    out += static_cast<char>(0x80 | ((c >> 6) & 0x3F));
    out += static_cast<char>(0x80 | (c & 0x3F));
  } else {
    out += static_cast<char>(0xF0 | (c >> 18));
    out += static_cast<char>(0x80 | ((c >> 12) & 0x3F));
    out += static_cast<char>(0x80 | ((c >> 6) & 0x3F));
    out += static_cast<char>(0x80 | (c & 0x3F));
  }
}

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  void document(MemberSink& sink) {
    skip_space();
    if (peek() != '{') fail("expected '{'");
    members(1, [&](std::string name, Value v) { sink.member(std::move(name), std::move(v)); });
    skip_space();
    if (!done()) fail("text after the end of the object");
  }

 private:
  [[noreturn]] void fail(const char* what) const {
    NORCH_RAISE(ValueError, "invalid JSON at byte ", at_, ": ", what);
  }
  bool done() const { return at_ == text_.size(); }
  char peek() const { return done() ? '\0' : text_[at_]; }

  void skip_space() {
    while (!done() && (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\n' || text_[at_] == '\r')) ++at_;
  }
  void expect(char c, const char* what) {
    if (done() || text_[at_] != c) fail(what);
    ++at_;
  }
  void word(std::string_view w) {
    if (text_.substr(at_, w.size()) != w) fail("expected a value");
    at_ += w.size();
  }

  Value value(int depth) {
    if (depth > kMaxDepth) fail("nested too deeply");
    skip_space();
    Value v;
    switch (peek()) {
      case '{': object(v, depth); break;
      case '[': array(v, depth); break;
      case '"':
        v.kind = Value::Kind::Text;
        v.text = string();
        break;
      case 't':
        word("true");
        v.kind = Value::Kind::Bool;
        v.boolean = true;
        break;
      case 'f':
        word("false");
        v.kind = Value::Kind::Bool;
        break;
      case 'n': word("null"); break;
      default: number(v);
    }
    return v;
  }

  void object(Value& v, int depth) {
    v.kind = Value::Kind::Object;
    members(depth + 1, [&](std::string name, Value member) {
      v.members.emplace_back(std::move(name), std::move(member));
    });
    check_unique(v);
  }

  /// Calls f(name, value) for each member of the object that starts here.
  template <class F>
  void members(int depth, const F& f) {
    ++at_;
    skip_space();
    if (peek() == '}') {
      ++at_;
      return;
    }
    for (;;) {
      skip_space();
      if (peek() != '"') fail("expected a name in quotes");
      std::string name = string();
      skip_space();
      expect(':', "expected ':' after a name");
      f(std::move(name), value(depth));
      skip_space();
      if (peek() == '}') break;
      expect(',', "expected ',' or '}'");
    }
    ++at_;
  }

  /// Sorting finds equal names without a comparison of every pair, which a hostile header could make expensive.
  void check_unique(const Value& v) const {
    std::vector<const std::string*> names;
    names.reserve(v.members.size());
    for (const auto& member : v.members) names.push_back(&member.first);
    std::sort(names.begin(), names.end(), [](const auto* a, const auto* b) { return *a < *b; });
    for (size_t i = 1; i < names.size(); ++i)
      NORCH_CHECK_VALUE(*names[i - 1] != *names[i], "invalid JSON: the name \"", *names[i], "\" appears twice");
  }

  void array(Value& v, int depth) {
    v.kind = Value::Kind::Array;
    ++at_;
    skip_space();
    if (peek() == ']') {
      ++at_;
      return;
    }
    for (;;) {
      if (v.items.size() == kMaxItems) fail("an array of too many items");
      v.items.push_back(value(depth + 1));
      skip_space();
      if (peek() == ']') break;
      expect(',', "expected ',' or ']'");
    }
    ++at_;
  }

  bool digit() const { return !done() && text_[at_] >= '0' && text_[at_] <= '9'; }

  void number(Value& v) {
    const bool negative = peek() == '-';
    if (negative) ++at_;
    if (!digit()) fail("expected a value");
    v.kind = negative ? Value::Kind::OtherNumber : Value::Kind::Integer;
    if (text_[at_] == '0') {
      ++at_;
      if (digit()) fail("a number with a leading zero");
    }
    while (digit()) {
      const int64_t d = text_[at_++] - '0';
      if (v.kind == Value::Kind::Integer && (__builtin_mul_overflow(v.integer, int64_t{10}, &v.integer) ||
                                             __builtin_add_overflow(v.integer, d, &v.integer)))
        v.kind = Value::Kind::OtherNumber;
    }
    if (peek() == '.') {
      v.kind = Value::Kind::OtherNumber;
      ++at_;
      if (!digit()) fail("expected digits after '.'");
      while (digit()) ++at_;
    }
    if (peek() == 'e' || peek() == 'E') {
      v.kind = Value::Kind::OtherNumber;
      ++at_;
      if (peek() == '+' || peek() == '-') ++at_;
      if (!digit()) fail("expected digits in the exponent");
      while (digit()) ++at_;
    }
  }

  uint32_t hex4() {
    uint32_t v = 0;
    for (int i = 0; i < 4; ++i) {
      const char c = peek();
      const int d = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
      if (d < 0) fail("expected four hexadecimal digits after \\u");
      v = v * 16 + static_cast<uint32_t>(d);
      ++at_;
    }
    return v;
  }

  std::string string() {
    std::string out;
    ++at_;
    for (;;) {
      if (done()) fail("a string without an end");
      const char c = text_[at_];
      if (c == '"') break;
      if (static_cast<unsigned char>(c) < 0x20) fail("a control character in a string");
      if (c != '\\') {
        out += c;
        ++at_;
        continue;
      }
      ++at_;
      const char e = peek();
      ++at_;
      switch (e) {
        case '"': out += '"'; break;
        case '\\': out += '\\'; break;
        case '/': out += '/'; break;
        case 'b': out += '\b'; break;
        case 'f': out += '\f'; break;
        case 'n': out += '\n'; break;
        case 'r': out += '\r'; break;
        case 't': out += '\t'; break;
        case 'u': {
          uint32_t code = hex4();
          if (code >= 0xDC00 && code < 0xE000) fail("half of a surrogate pair");
          if (code >= 0xD800 && code < 0xDC00) {
            if (text_.substr(at_, 2) != "\\u") fail("half of a surrogate pair");
            at_ += 2;
            const uint32_t low = hex4();
            if (low < 0xDC00 || low >= 0xE000) fail("half of a surrogate pair");
            code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
          }
          append_utf8(out, code);
          break;
        }
        default:
          at_ -= 1;
          fail("an unknown escape");
      }
    }
    ++at_;
    return out;
  }

  std::string_view text_;
  size_t at_ = 0;
};

}  // namespace

const Value* Value::find(std::string_view name) const {
  for (const auto& [key, value] : members)
    if (key == name) return &value;
  return nullptr;
}

bool is_utf8(std::string_view text) {
  const auto* p = reinterpret_cast<const unsigned char*>(text.data());
  const auto* end = p + text.size();
  while (p < end) {
    const unsigned char c = *p++;
    if (c < 0x80) continue;
    const int more = c >= 0xC2 && c < 0xE0 ? 1 : c >= 0xE0 && c < 0xF0 ? 2 : c >= 0xF0 && c < 0xF5 ? 3 : -1;
    if (more < 0 || end - p < more) return false;
    // The second byte's range rules out overlong forms, surrogates and what lies past U+10FFFF.
    const unsigned char low = c == 0xE0 ? 0xA0 : c == 0xF0 ? 0x90 : 0x80;
    const unsigned char high = c == 0xED ? 0x9F : c == 0xF4 ? 0x8F : 0xBF;
    if (p[0] < low || p[0] > high) return false;
    for (int i = 1; i < more; ++i)
      if ((p[i] & 0xC0) != 0x80) return false;
    p += more;
  }
  return true;
}

void parse_object(std::string_view text, MemberSink& sink) {
  NORCH_CHECK_VALUE(is_utf8(text), "invalid JSON: the text is not UTF-8");
  Parser(text).document(sink);
}

void append_quoted(std::string& out, std::string_view text) {
  out += '"';
  for (const char c : text) {
    switch (c) {
      case '"': out += "\\\""; break;
      case '\\': out += "\\\\"; break;
      case '\n': out += "\\n"; break;
      case '\r': out += "\\r"; break;
      case '\t': out += "\\t"; break;
      default:
        if (static_cast<unsigned char>(c) < 0x20) {
          constexpr char hex[] = "0123456789abcdef";
          out += "\\u00";
          out += hex[(c >> 4) & 15];
          out += hex[c & 15];
        } else {
          out += c;
        }
    }
  }
  out += '"';
}

}  // namespace norch::json
