#include "common/json/json_members.hpp"

#include <algorithm>
#include <ranges>

#include "common/assert.hpp"

namespace notp {
namespace {

constexpr ByteView kSpace = " \t\r\n";

ByteView trimmed(ByteView text) {
  const size_t first = text.find_first_not_of(kSpace);
  if (first == ByteView::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) + 1 - first);
}

class Walker {
 public:
  Walker(ByteView text, std::span<const uint32_t> places) : text_(text), places_(places) {}

  std::optional<std::vector<JsonMember>> members() {
    std::vector<JsonMember> found;
    if (!take('{')) return std::nullopt;
    if (!take('}')) {
      do {
        auto one = member();
        if (!one) return std::nullopt;
        found.push_back(*one);
      } while (take(','));
      if (!take('}')) return std::nullopt;
    }
    if (at_ != places_.size()) return std::nullopt;
    return found;
  }

  std::optional<std::vector<ByteView>> elements() {
    std::vector<ByteView> found;
    if (!take('[')) return std::nullopt;
    if (!take(']')) {
      do {
        const auto one = value();
        if (!one) return std::nullopt;
        found.push_back(*one);
      } while (take(','));
      if (!take(']')) return std::nullopt;
    }
    if (at_ != places_.size()) return std::nullopt;
    return found;
  }

 private:
  bool take(char token) {
    if (at_ >= places_.size() || text_[places_[at_]] != token) return false;
    ++at_;
    return true;
  }

  std::optional<JsonMember> member() {
    const size_t name_at = at_;
    if (!take('"') || !take(':')) return std::nullopt;
    const ByteView name =
        trimmed(text_.substr(places_[name_at], places_[at_ - 1] - places_[name_at]));
    if (name.size() < 2 || name.back() != '"') return std::nullopt;
    const auto value = this->value();
    if (!value) return std::nullopt;
    return JsonMember{name.substr(1, name.size() - 2), *value};
  }

  // Takes the text before the next comma or bracket of the object or array itself.
  std::optional<ByteView> value() {
    if (at_ >= places_.size()) return std::nullopt;
    const size_t from = places_[at_];
    size_t depth = 0;
    for (const size_t first = at_; at_ < places_.size(); ++at_) {
      const char token = text_[places_[at_]];
      if (depth == 0 && at_ > first) break;
      if (token == '{' || token == '[')
        ++depth;
      else if (token == '}' || token == ']' || token == ',' || token == ':') {
        if (depth == 0) return std::nullopt;
        if (token == '}' || token == ']') --depth;
      }
    }
    if (depth != 0 || at_ >= places_.size()) return std::nullopt;
    return trimmed(text_.substr(from, places_[at_] - from));
  }

  const ByteView text_;
  const std::span<const uint32_t> places_;
  size_t at_ = 0;
};

}  // namespace

std::optional<JsonOutline> JsonOutline::find(ByteView text) {
  auto tokens = JsonTokens::find(text);
  if (!tokens) return std::nullopt;
  return JsonOutline(text, *std::move(tokens));
}

std::span<const uint32_t> JsonOutline::places_of(ByteView value) const {
  const auto places = tokens_.places();
  const auto from = static_cast<uint32_t>(value.data() - text_.data());
  const auto to = static_cast<uint32_t>(from + value.size());
  NOTP_ASSERT(value.data() >= text_.data() && to <= text_.size(), "the value lies in the text");
  const auto first = std::ranges::lower_bound(places, from);
  return {first, std::lower_bound(first, places.end(), to)};
}

std::optional<std::vector<JsonMember>> JsonOutline::members(ByteView value) const {
  return Walker(text_, places_of(value)).members();
}

std::optional<std::vector<ByteView>> JsonOutline::elements(ByteView value) const {
  return Walker(text_, places_of(value)).elements();
}

std::optional<std::vector<JsonMember>> json_members(ByteView text) {
  const auto outline = JsonOutline::find(text);
  return outline ? outline->members(text) : std::nullopt;
}

std::optional<std::vector<ByteView>> json_elements(ByteView text) {
  const auto outline = JsonOutline::find(text);
  return outline ? outline->elements(text) : std::nullopt;
}

std::optional<ByteView> json_member(std::span<const JsonMember> members, ByteView name) {
  for (const JsonMember& member : members | std::views::reverse)
    if (member.name == name) return member.value;
  return std::nullopt;
}

}  // namespace notp
