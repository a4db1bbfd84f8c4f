#include "tools/notp/audit/json_text.hpp"

#include "common/json/json.hpp"
#include "common/limits.hpp"

namespace notp::cli {
namespace {

// Removes white space between the tokens of JSON.
Bytes without_space(ByteView text) {
  Bytes out;
  out.reserve(text.size());
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (!in_string && (c == ' ' || c == '\t' || c == '\r' || c == '\n')) continue;
    out.push_back(c);
    if (c == '"') in_string = !in_string;
    if (in_string && c == '\\' && i + 1 < text.size()) out.push_back(text[++i]);
  }
  return out;
}

}  // namespace

Bytes string_json(std::string_view text) {
  return is_utf8(text) ? json_string(text) : json_string(printable(text, limits::kRecordBytesMax));
}

Bytes one_line_json(ByteView text) {
  return is_json(text) ? without_space(text) : string_json(text);
}

JsonObject& JsonObject::json(std::string_view name, ByteView value) {
  if (!members_.empty()) members_ += ',';
  members_ += string_json(name);
  members_ += ':';
  members_ += value;
  return *this;
}

JsonObject& JsonObject::text(std::string_view name, std::string_view value) {
  return json(name, string_json(value));
}

JsonObject& JsonObject::number(std::string_view name, uint64_t value) {
  return json(name, std::to_string(value));
}

JsonObject& JsonObject::signed_number(std::string_view name, int64_t value) {
  return json(name, std::to_string(value));
}

JsonObject& JsonObject::boolean(std::string_view name, bool value) {
  return json(name, value ? "true" : "false");
}

JsonObject& JsonObject::json_if(std::string_view name, ByteView value) {
  return value.empty() ? *this : json(name, one_line_json(value));
}

JsonObject& JsonObject::text_if(std::string_view name, std::string_view value) {
  return value.empty() ? *this : text(name, value);
}

JsonObject& JsonObject::number_if(std::string_view name, uint64_t value) {
  return value == 0 ? *this : number(name, value);
}

JsonArray& JsonArray::json(ByteView element) {
  if (!elements_.empty()) elements_ += ',';
  elements_ += element;
  return *this;
}

}  // namespace notp::cli
