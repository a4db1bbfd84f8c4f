#include "tools/notp/publish/glob.hpp"

#include <array>
#include <optional>
#include <string>

namespace notp::cli {
namespace {

using Set = std::bitset<256>;

// In the C locale, as in Git.
bool is_in_class(std::string_view name, int c) {
  const bool upper = c >= 'A' && c <= 'Z', lower = c >= 'a' && c <= 'z',
             digit = c >= '0' && c <= '9';
  const bool printable = c >= 0x20 && c < 0x7f;
  if (name == "alpha") return upper || lower;
  if (name == "digit") return digit;
  if (name == "alnum") return upper || lower || digit;
  if (name == "upper") return upper;
  if (name == "lower") return lower;
  if (name == "xdigit") return digit || (c >= 'A' && c <= 'F') || (c >= 'a' && c <= 'f');
  if (name == "space") return c == ' ' || (c >= '\t' && c <= '\r');
  if (name == "blank") return c == ' ' || c == '\t';
  if (name == "cntrl") return c < 0x20 || c == 0x7f;
  if (name == "print") return printable;
  if (name == "graph") return printable && c != ' ';
  return name == "punct" && printable && c != ' ' && !upper && !lower && !digit;
}

bool is_class(std::string_view name) {
  for (int c = 0; c < 0x80; ++c)
    if (is_in_class(name, c)) return true;
  return false;
}

// Reads the inside of a set, from after '[' to after ']'.
class SetReader {
 public:
  SetReader(std::string_view pattern, size_t at) : pattern_(pattern), at_(at) {}
  size_t end() const { return at_; }

  std::optional<Set> read() {
    const bool negated = here() == '!' || here() == '^';
    if (negated) ++at_;
    // A leading ']' is a member of the set.
    for (bool first = true; first || here() != ']'; first = false)
      if (at_ >= pattern_.size() || !read_member()) return std::nullopt;
    ++at_;
    return negated ? ~set_ : set_;
  }

 private:
  char here(size_t ahead = 0) const {
    return at_ + ahead < pattern_.size() ? pattern_[at_ + ahead] : '\0';
  }

  // False when the set has no end, or names an unknown class.
  bool read_member() {
    if (here() == '[' && here(1) == ':') {
      const size_t close = pattern_.find(']', at_ + 2);
      if (close == std::string_view::npos) return false;
      if (close > at_ + 2 && pattern_[close - 1] == ':') {
        const std::string_view name = pattern_.substr(at_ + 2, close - at_ - 3);
        if (!is_class(name)) return false;
        for (int c = 0; c < 0x80; ++c)
          if (is_in_class(name, c)) set_.set(static_cast<size_t>(c));
        at_ = close + 1;
        from_.reset();
        return true;
      }
    }
    if (here() == '-' && from_ && here(1) != '\0' && here(1) != ']') {
      ++at_;
      const auto to = read_byte();
      if (!to) return false;
      for (size_t c = *from_; c <= *to; ++c) set_.set(c);
      from_.reset();
      return true;
    }
    from_ = read_byte();
    if (!from_) return false;
    set_.set(*from_);
    return true;
  }

  std::optional<uint8_t> read_byte() {
    if (here() == '\\') ++at_;
    if (at_ >= pattern_.size()) return std::nullopt;
    return static_cast<uint8_t>(pattern_[at_++]);
  }

  std::string_view pattern_;
  size_t at_;
  Set set_;
  std::optional<uint8_t> from_;  // the possible start of a range
};

}  // namespace

Glob::Glob(std::string_view pattern) {
  for (size_t at = 0; at < pattern.size() && is_valid_;) {
    switch (const char c = pattern[at]) {
      case '*':
        add_stars(pattern, at);
        break;
      case '?':
        add_set(~Set());
        ++at;
        break;
      case '[': {
        SetReader reader(pattern, at + 1);
        const auto set = reader.read();
        is_valid_ = set.has_value();
        if (set) add_set(*set);
        at = reader.end();
        break;
      }
      case '\\':
        is_valid_ = at + 1 < pattern.size();
        if (is_valid_) add_byte(pattern[at + 1]);
        at += 2;
        break;
      default:
        add_byte(c);
        ++at;
    }
  }
}

// A set never matches '/'.
void Glob::add_set(Set set) {
  set.reset('/');
  tokens_.push_back({Kind::kSet, 0, static_cast<uint32_t>(sets_.size())});
  sets_.push_back(set);
}

void Glob::add_stars(std::string_view pattern, size_t& at) {
  const size_t begin = at;
  while (at < pattern.size() && pattern[at] == '*') ++at;
  const std::string_view rest = pattern.substr(at);
  const bool is_deep = at - begin > 1 && (begin == 0 || pattern[begin - 1] == '/') &&
                       (rest.empty() || rest[0] == '/' || rest.starts_with("\\/"));
  if (!is_deep) {
    tokens_.push_back({Kind::kStar, 0, 0});
    return;
  }
  // "**/" matches any number of folders, including none.
  if (rest.starts_with('/')) tokens_.push_back({Kind::kSkipTwo, 0, 0});
  tokens_.push_back({Kind::kDeep, 0, 0});
}

bool Glob::takes(const Token& token, uint8_t byte) const {
  switch (token.kind) {
    case Kind::kByte:
      return token.byte == byte;
    case Kind::kSet:
      return sets_[token.set].test(byte);
    case Kind::kStar:
      return byte != '/';
    case Kind::kDeep:
      return true;
    case Kind::kSkipTwo:
      return false;
  }
  return false;
}

bool Glob::matches(std::string_view text, uint64_t& work) const {
  if (!is_valid_) return false;
  // The tokens that may match next; the last one is the end.
  std::vector<uint8_t> now(tokens_.size() + 1), next(tokens_.size() + 1);
  now[0] = 1;
  const auto pass_empty = [this](std::vector<uint8_t>& states) {
    for (size_t i = 0; i < tokens_.size(); ++i) {
      if (states[i] == 0) continue;
      const Kind kind = tokens_[i].kind;
      if (kind == Kind::kStar || kind == Kind::kDeep || kind == Kind::kSkipTwo) states[i + 1] = 1;
      if (kind == Kind::kSkipTwo) states[i + 3] = 1;
    }
  };
  pass_empty(now);
  for (const char c : text) {
    work += tokens_.size() + 1;
    std::fill(next.begin(), next.end(), 0);
    bool any = false;
    for (size_t i = 0; i < tokens_.size(); ++i) {
      if (now[i] == 0 || !takes(tokens_[i], static_cast<uint8_t>(c))) continue;
      const Kind kind = tokens_[i].kind;
      next[kind == Kind::kStar || kind == Kind::kDeep ? i : i + 1] = 1;
      any = true;
    }
    if (!any) return false;
    pass_empty(next);
    now.swap(next);
  }
  return now.back() != 0;
}

}  // namespace notp::cli
