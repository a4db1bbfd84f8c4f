#include "notp-client/decision/token_ask.hpp"

#include <algorithm>
#include <charconv>

#include "common/json/json.hpp"
#include "common/json/json_members.hpp"
#include "notp-client/decision/json_reader.hpp"
#include "notp-client/decision/recorded_input.hpp"
#include "protocol/feed/feed_limits.hpp"
#include "protocol/model/decision_terms.hpp"

namespace notp::decision {
namespace {

std::optional<ByteView> element_at(ByteView array, const std::string& token) {
  const auto elements = json_elements(array);
  size_t index = 0;
  const auto [end, error] = std::from_chars(token.data(), token.data() + token.size(), index);
  if (!elements || error != std::errc{} || end != token.data() + token.size()) return std::nullopt;
  return index < elements->size() ? std::optional((*elements)[index]) : std::nullopt;
}

// Of a name that an object repeats, the last value: as the engine reads it.
std::optional<ByteView> member_at(ByteView object, const std::string& token) {
  const auto members = json_members(object);
  std::optional<ByteView> found;
  if (!members) return found;
  for (const JsonMember& member : *members)
    if (member.name == token || (member.name.contains('\\') && unescape_json(member.name) == token))
      found = member.value;
  return found;
}

std::optional<ByteView> value_at(ByteView value, const std::vector<std::string>& pointer) {
  for (const std::string& token : pointer) {
    const auto found = value.starts_with('[') ? element_at(value, token) : member_at(value, token);
    if (!found) return std::nullopt;
    value = *found;
  }
  return value;
}

}  // namespace

TokenAsk::TokenAsk(const std::vector<std::string>& pointers, Resolve resolve)
    : resolve_(std::move(resolve)) {
  for (const std::string& text : pointers)
    if (auto pointer = model::MaskPointer::parse("/input" + text))
      pointers_.push_back(std::move(pointer->tokens));
}

std::vector<feed::TokenId> TokenAsk::tokens_of(const pdp::Question& question) const {
  std::vector<feed::TokenId> out;
  for (const pdp::InputText& sent : question.inputs) {
    if (!sent) continue;
    const auto input = RecordedInput::find(question.form, sent);
    if (!input || !input->text()) continue;
    for (const auto& pointer : pointers_) {
      const auto value = value_at(*input->text(), pointer);
      if (!value || value->size() < 2 || !value->starts_with('"') || !value->ends_with('"'))
        continue;
      const auto id = feed::token_id(unescape_json(value->substr(1, value->size() - 2)));
      if (out.size() < limits::kLaneAsksOpenMax && std::ranges::find(out, id) == out.end())
        out.push_back(id);
    }
  }
  return out;
}

boost::asio::awaitable<void> TokenAsk::ask(const pdp::Question& question) const {
  auto tokens = tokens_of(question);
  if (!tokens.empty()) co_await resolve_(std::move(tokens), question.caller);
}

}  // namespace notp::decision
