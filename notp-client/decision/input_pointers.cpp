#include "notp-client/decision/input_pointers.hpp"

#include <charconv>

#include "common/json/json_members.hpp"
#include "notp-client/decision/json_reader.hpp"
#include "notp-client/decision/recorded_input.hpp"
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

InputPointers::InputPointers(const std::vector<std::string>& pointers) {
  for (const std::string& text : pointers) {
    auto pointer = model::MaskPointer::parse("/input" + text);
    pointers_.push_back(pointer ? std::move(pointer->tokens) : std::vector<std::string>());
  }
}

std::vector<InputPointers::Found> InputPointers::texts_in(pdp::InputForm form,
                                                          const pdp::InputText& sent) const {
  std::vector<Found> out;
  if (!sent) return out;
  const auto input = RecordedInput::find(form, sent);
  if (!input || !input->text()) return out;
  for (size_t i = 0; i < pointers_.size(); ++i) {
    if (pointers_[i].empty()) continue;
    const auto value = value_at(*input->text(), pointers_[i]);
    if (!value || value->size() < 2 || !value->starts_with('"') || !value->ends_with('"')) continue;
    out.push_back({i, unescape_json(value->substr(1, value->size() - 2))});
  }
  return out;
}

}  // namespace notp::decision
