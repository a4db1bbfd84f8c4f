#include "notp-client/opa_log/event_mark.hpp"

#include <algorithm>

#include "common/json/json.hpp"
#include "common/json/json_members.hpp"
#include "common/limits.hpp"
#include "notp-client/opa_log/json_text.hpp"

namespace notp::opa_log {
namespace {

constexpr size_t kSaltBytes = 16;  // of a commitment

size_t count_at(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  return value && value->is_int64() && value->get_int64() >= 0
             ? static_cast<size_t>(value->get_int64())
             : 0;
}

std::string text_at(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  return value && value->is_string() ? std::string(value->get_string()) : std::string();
}

std::vector<std::string> texts_at(const json::object& object, std::string_view name) {
  std::vector<std::string> texts;
  const json::value* value = object.if_contains(name);
  const json::array* list = value ? value->if_array() : nullptr;
  if (list == nullptr) return texts;
  for (const json::value& text : *list)
    if (text.is_string() && text.get_string().size() <= limits::kMaskRuleBytesMax &&
        texts.size() < limits::kMaskedPathsMax)
      texts.emplace_back(text.get_string());
  return texts;
}

std::vector<record::Commitment> commitments_at(const json::object& object) {
  std::vector<record::Commitment> commitments;
  const json::value* value = object.if_contains("commitments");
  const json::array* list = value ? value->if_array() : nullptr;
  if (list == nullptr) return commitments;
  for (const json::value& one : *list) {
    if (!one.is_object() || commitments.size() == limits::kMaskedPathsMax) continue;
    auto hmac = from_hex(text_at(one.get_object(), "hmac"));
    record::Commitment commitment{text_at(one.get_object(), "pointer"),
                                  text_at(one.get_object(), "salt"), hmac.value_or("")};
    if (commitment.salt.size() == kSaltBytes && commitment.hmac.size() == Hash::kSize)
      commitments.push_back(std::move(commitment));
  }
  return commitments;
}

// Ours come first: the module's rules run before the model's.
void replace_first(std::vector<std::string>& pointers, size_t count, std::vector<std::string> by) {
  pointers.erase(pointers.begin(),
                 pointers.begin() + static_cast<ptrdiff_t>(std::min(count, pointers.size())));
  pointers.insert(pointers.begin(), by.begin(), by.end());
  if (pointers.size() > limits::kMaskedPathsMax) pointers.resize(limits::kMaskedPathsMax);
}

}  // namespace

std::optional<EventMark> take_mark(Bytes& nd_builtin_cache) {
  const auto members = json_members(nd_builtin_cache);
  const auto text = members ? json_member(*members, kMarkName) : std::nullopt;
  const auto value = text ? parse_json(*text) : fail(ErrorCode::kMessage, {});
  if (!value || !value->is_object()) return std::nullopt;
  const json::object& object = value->get_object();
  EventMark mark{.upserts = count_at(object, "upserts"),
                 .removes = count_at(object, "removes"),
                 .erased = texts_at(object, "erased"),
                 .masked = texts_at(object, "masked"),
                 .commitments = commitments_at(object),
                 .outcome = record::parse_outcome(text_at(object, "outcome")),
                 .failure = text_at(object, "failure"),
                 .is_dropped = object.contains("dropped")};
  Bytes rest;
  for (const JsonMember& member : *members) {
    if (member.name == kMarkName) continue;
    rest += rest.empty() ? "{\"" : ",\"";
    rest.append(member.name).append("\":").append(member.value);
  }
  if (!rest.empty()) rest.push_back('}');
  nd_builtin_cache = std::move(rest);
  return mark;
}

void apply_mark(const EventMark& mark, record::DecisionContent& content) {
  replace_first(content.erased, mark.removes, mark.erased);
  replace_first(content.masked, mark.upserts, mark.masked);
  content.commitments = mark.commitments;
  // What an error means is read from the error.
  if (mark.outcome && !content.error) content.outcome = *mark.outcome;
  if (mark.failure.empty()) return;
  content.input = content.result = std::nullopt;
  content.withheld = record::Withheld{record::WithheldReason::kMaskFailed,
                                      mark.failure.substr(0, limits::kErrorTextBytesMax),
                                      {},
                                      {}};
}

}  // namespace notp::opa_log
