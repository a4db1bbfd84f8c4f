#include "notp-client/decision/recorded_input.hpp"

#include <fmt/format.h>

#include <boost/beast/core/string.hpp>

#include "common/json/yaml.hpp"
#include "common/limits.hpp"
#include "notp-client/decision/decision_limits.hpp"
#include "notp-client/decision/json_reader.hpp"

namespace notp::decision {
namespace {

// Go's decoder compares the names of members without regard to case.
bool is_input(ByteView name) { return boost::beast::iequals(name, "input"); }

// Returns the first value of a text; nullopt: it is empty.
Result<std::optional<ByteView>> first_value(ByteView text) {
  JsonReader reader(text);
  reader.skip_space();
  if (reader.is_at_end()) return std::nullopt;
  const size_t begin = reader.at();
  if (!reader.skip_value(limits::kJsonDepthMax)) return std::unexpected(reader.error());
  return text.substr(begin, reader.at() - begin);
}

// Returns the last member `input` of a text that is one value; nullopt without one, or when it is
// null.
Result<std::optional<ByteView>> input_member(ByteView text) {
  if (!text.starts_with('{')) return fail(ErrorCode::kMessage, "the body is not an object");
  JsonReader reader(text);
  std::optional<ByteView> found;
  for (reader.take('{'), reader.skip_space(); !reader.take('}'); reader.skip_space()) {
    if (reader.take(',')) reader.skip_space();
    const auto name = reader.string();
    if (!name) return std::unexpected(reader.error());
    reader.skip_space();
    reader.take(':');
    reader.skip_space();
    const size_t begin = reader.at();
    if (!reader.skip_value(limits::kJsonDepthMax)) return std::unexpected(reader.error());
    if (is_input(name->has_escapes ? unescape_json(name->raw) : std::string(name->raw)))
      found = text.substr(begin, reader.at() - begin);
  }
  return found == "null" ? std::nullopt : found;
}

}  // namespace

Result<RecordedInput> RecordedInput::of_yaml(ByteView sent, bool is_body) {
  if (sent.size() > limits::kRecordedYamlBytesMax)
    return fail(ErrorCode::kLimit, fmt::format("{} bytes of YAML, {} are recorded", sent.size(),
                                               limits::kRecordedYamlBytesMax));
  NOTP_ASSIGN(const json::value document, parse_yaml(sent));
  RecordedInput out;
  if (!is_body) {
    out.converted_ = json::serialize(document);
    return out;
  }
  if (document.is_null()) return out;
  if (!document.is_object()) return fail(ErrorCode::kMessage, "the body is not an object");
  for (const auto& [name, value] : document.get_object())
    if (is_input(name)) out.converted_ = json::serialize(value);
  if (out.converted_ == "null") out.converted_.reset();
  return out;
}

Result<RecordedInput> RecordedInput::find(pdp::InputForm form, const pdp::InputText& sent) {
  RecordedInput out;
  if (!sent) return out;
  switch (form) {
    case pdp::InputForm::kValue:
      out.part_ = *sent;
      return out;
    case pdp::InputForm::kBodyYaml:
    case pdp::InputForm::kPlainBodyYaml:
      return of_yaml(*sent, form == pdp::InputForm::kBodyYaml);
    case pdp::InputForm::kPlainBody: {
      NOTP_ASSIGN(out.part_, first_value(*sent));
      if (!out.part_) out.part_ = "null";
      return out;
    }
    case pdp::InputForm::kBody: {
      NOTP_ASSIGN(const auto body, first_value(*sent));
      if (!body || *body == "null") return out;
      NOTP_ASSIGN(out.part_, input_member(*body));
      return out;
    }
  }
  return fail(ErrorCode::kInternal, "an unknown form of input");
}

}  // namespace notp::decision
