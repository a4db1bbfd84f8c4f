// A small JSON reader for tests, independent of the product's libraries: numbers keep their text,
// and the last of two members with the same name counts.
#pragma once

#include <charconv>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace notp::reference {

struct Value {
  std::string scalar;  // numbers and literals as written, strings decoded, after a quote
  bool object = false;
  bool array = false;
  std::map<std::string, std::shared_ptr<Value>> members;
  std::vector<std::shared_ptr<Value>> elements;
  std::string_view text;  // the source text

  // Null when there is none, or when the member is null.
  const Value* member(const std::string& name) const {
    const auto found = members.find(name);
    return found == members.end() || found->second->scalar == "null" ? nullptr
                                                                     : found->second.get();
  }
  // The string's value; empty for anything else.
  std::string string() const { return scalar.starts_with('"') ? scalar.substr(1) : std::string(); }
};
using ValuePtr = std::shared_ptr<Value>;

class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  // Null when the text is not JSON (RFC 8259), or nests deeper than 300.
  ValuePtr read() {
    ValuePtr value = read_value(0);
    skip_space();
    return at_ == text_.size() ? value : nullptr;
  }

 private:
  char look() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  bool take(char c) {
    if (look() != c || at_ == text_.size()) return false;
    ++at_;
    return true;
  }
  void skip_space() {
    while (at_ < text_.size() && std::string_view(" \t\r\n").contains(text_[at_])) ++at_;
  }

  ValuePtr read_value(int depth) {
    if (depth > 300) return nullptr;
    skip_space();
    const size_t start = at_;
    ValuePtr value = read_any(depth);
    if (value) value->text = text_.substr(start, at_ - start);
    return value;
  }
  ValuePtr read_any(int depth) {
    if (look() == '{') return read_object(depth);
    if (look() == '[') return read_array(depth);
    auto value = std::make_shared<Value>();
    if (look() == '"') {
      auto text = read_string();
      if (!text) return nullptr;
      value->scalar = "\"" + *text;
      return value;
    }
    for (const std::string_view literal : {"true", "false", "null"})
      if (text_.substr(at_).starts_with(literal)) {
        at_ += literal.size();
        value->scalar = literal;
        return value;
      }
    const size_t start = at_;
    if (!skip_number()) return nullptr;
    value->scalar = text_.substr(start, at_ - start);
    return value;
  }

  bool skip_digits() {
    const size_t start = at_;
    while (look() >= '0' && look() <= '9') ++at_;
    return at_ > start;
  }
  bool skip_number() {
    take('-');
    if (!take('0') && !skip_digits()) return false;
    if (take('.') && !skip_digits()) return false;
    if (!take('e') && !take('E')) return true;
    if (!take('+')) take('-');
    return skip_digits();
  }

  ValuePtr read_object(int depth) {
    auto value = std::make_shared<Value>();
    value->object = take('{');
    skip_space();
    if (take('}')) return value;
    do {
      skip_space();
      auto name = read_string();
      skip_space();
      if (!name || !take(':')) return nullptr;
      ValuePtr member = read_value(depth + 1);
      if (!member) return nullptr;
      value->members[*name] = std::move(member);
      skip_space();
    } while (take(','));
    return take('}') ? value : nullptr;
  }
  ValuePtr read_array(int depth) {
    auto value = std::make_shared<Value>();
    value->array = take('[');
    skip_space();
    if (take(']')) return value;
    do {
      ValuePtr element = read_value(depth + 1);
      if (!element) return nullptr;
      value->elements.push_back(std::move(element));
      skip_space();
    } while (take(','));
    return take(']') ? value : nullptr;
  }

  std::optional<std::string> read_string() {
    if (!take('"')) return std::nullopt;
    std::string out;
    while (at_ < text_.size() && text_[at_] != '"') {
      const auto c = static_cast<unsigned char>(text_[at_++]);
      if (c < 0x20) return std::nullopt;
      if (c != '\\') {
        out += static_cast<char>(c);
      } else if (!read_escape(out)) {
        return std::nullopt;
      }
    }
    if (!take('"')) return std::nullopt;
    return out;
  }
  std::optional<unsigned> read_hex() {
    if (text_.size() - at_ < 4) return std::nullopt;
    unsigned code = 0;
    const char* const start = text_.data() + at_;
    const auto [end, error] = std::from_chars(start, start + 4, code, 16);
    if (error != std::errc{} || end != start + 4) return std::nullopt;
    at_ += 4;
    return code;
  }
  bool read_escape(std::string& out) {
    if (at_ == text_.size()) return false;
    const char c = text_[at_++];
    constexpr std::string_view kFrom = "\"\\/bfnrt";
    constexpr std::string_view kTo = "\"\\/\b\f\n\r\t";
    if (const size_t found = kFrom.find(c); found != std::string_view::npos) {
      out += kTo[found];
      return true;
    }
    if (c != 'u') return false;
    auto code = read_hex();
    if (!code) return false;
    if (*code >= 0xd800 && *code < 0xdc00 && text_.substr(at_).starts_with("\\u")) {
      const size_t back = at_;
      at_ += 2;
      const auto low = read_hex();
      if (!low) return false;
      if (*low >= 0xdc00 && *low < 0xe000)
        code = 0x10000 + ((*code - 0xd800) << 10) + (*low - 0xdc00);
      else
        at_ = back;
    }
    append_utf8(out, *code);  // an unpaired surrogate is kept
    return true;
  }
  static void append_utf8(std::string& out, unsigned code) {
    const auto push = [&](unsigned byte) { out += static_cast<char>(byte); };
    if (code < 0x80) return push(code);
    if (code < 0x800) {
      push(0xc0 | (code >> 6));
    } else {
      if (code < 0x10000) {
        push(0xe0 | (code >> 12));
      } else {
        push(0xf0 | (code >> 18));
        push(0x80 | ((code >> 12) & 0x3f));
      }
      push(0x80 | ((code >> 6) & 0x3f));
    }
    push(0x80 | (code & 0x3f));
  }

  std::string_view text_;
  size_t at_ = 0;
};

inline ValuePtr read(std::string_view text) { return Reader(text).read(); }

// The same text for all documents with the same values.
inline std::string canonical(const Value& value) {
  if (value.object) {
    std::string out = "{";
    for (const auto& [name, member] : value.members)
      out += std::to_string(name.size()) + ":" + name + "=" + canonical(*member) + ",";
    return out + "}";
  }
  if (value.array) {
    std::string out = "[";
    for (const ValuePtr& element : value.elements) out += canonical(*element) + ",";
    return out + "]";
  }
  return std::to_string(value.scalar.size()) + ":" + value.scalar;
}

// Applies the values of `changes`, [[["segment",...],value],...], to `document`, each replacing an
// existing one. Null when one does not exist, or `changes` has another form.
inline ValuePtr apply(ValuePtr document, std::string_view changes) {
  const ValuePtr list = read(changes);
  if (!document || !list || !list->array) return nullptr;
  for (const ValuePtr& change : list->elements) {
    if (!change->array || change->elements.size() != 2) return nullptr;
    const ValuePtr& path = change->elements[0];
    if (!path->array || path->elements.empty()) return nullptr;
    ValuePtr* at = &document;
    for (const ValuePtr& segment : path->elements) {
      if (!segment->scalar.starts_with('"')) return nullptr;
      const std::string name = segment->scalar.substr(1);
      if ((*at)->object) {
        const auto found = (*at)->members.find(name);
        if (found == (*at)->members.end()) return nullptr;
        at = &found->second;
        continue;
      }
      size_t index = 0;
      const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), index);
      if (!(*at)->array || error != std::errc{} || end != name.data() + name.size() ||
          index >= (*at)->elements.size())
        return nullptr;
      at = &(*at)->elements[index];
    }
    *at = change->elements[1];
  }
  return document;
}

// Describes what is wrong with `changes` between two texts, the old one being JSON; empty: nothing.
inline std::string flaw_of(std::string_view old_text, std::string_view new_text,
                           std::string_view changes) {
  const ValuePtr wanted = read(new_text);
  if (!wanted) return "changes to what is not JSON";
  const ValuePtr got = apply(read(old_text), changes);
  if (!got) return "changes that cannot be applied";
  if (canonical(*got) != canonical(*wanted)) return "changes that lead elsewhere";
  return {};
}

}  // namespace notp::reference
