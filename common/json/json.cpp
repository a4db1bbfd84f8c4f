#include "common/json/json.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/basic_parser_impl.hpp>
#include <charconv>
#include <cmath>
#include <string>
#include <unordered_set>
#include <vector>

#include "common/limits.hpp"

namespace notp {
namespace {

// Builds the value through json::value_stack like json::parse(), and refuses a duplicate name, of
// which json::parse() silently keeps the last.
class StrictHandler {
 public:
  static constexpr size_t max_object_size = static_cast<size_t>(-1);
  static constexpr size_t max_array_size = static_cast<size_t>(-1);
  static constexpr size_t max_key_size = static_cast<size_t>(-1);
  static constexpr size_t max_string_size = static_cast<size_t>(-1);

  json::value_stack stack;
  std::string refused;  // the first reason for which this handler refuses

  bool on_document_begin(json::error_code&) { return true; }
  bool on_document_end(json::error_code&) { return true; }
  bool on_object_begin(json::error_code&) {
    names_.emplace_back();
    return true;
  }
  bool on_object_end(size_t n, json::error_code&) {
    names_.pop_back();
    stack.push_object(n);
    return true;
  }
  bool on_array_begin(json::error_code&) { return true; }
  bool on_array_end(size_t n, json::error_code&) {
    stack.push_array(n);
    return true;
  }
  bool on_key_part(json::string_view part, size_t, json::error_code&) {
    key_.append(part);
    stack.push_chars(part);
    return true;
  }
  bool on_key(json::string_view part, size_t, json::error_code& error) {
    key_.append(part);
    stack.push_key(part);
    if (!names_.back().insert(key_).second)
      return refuse(fmt::format("the name \"{}\" stands twice in one object", printable(key_)),
                    error);
    key_.clear();
    return true;
  }
  bool on_string_part(json::string_view part, size_t, json::error_code&) {
    stack.push_chars(part);
    return true;
  }
  bool on_string(json::string_view part, size_t, json::error_code&) {
    stack.push_string(part);
    return true;
  }
  bool on_number_part(json::string_view part, json::error_code&) {
    integer_ = integer_ && is_integer(part);
    return true;
  }
  bool on_int64(int64_t value, json::string_view, json::error_code&) {
    integer_ = true;
    stack.push_int64(value);
    return true;
  }
  bool on_uint64(uint64_t value, json::string_view, json::error_code&) {
    integer_ = true;
    stack.push_uint64(value);
    return true;
  }
  bool on_double(double value, json::string_view text, json::error_code& error) {
    if (std::exchange(integer_, true) && is_integer(text))
      return refuse("an integer beyond 64 bits loses digits in most readers; write it as a string",
                    error);
    if (!std::isfinite(value)) return refuse("a number beyond the range of a double", error);
    stack.push_double(value);
    return true;
  }
  bool on_bool(bool value, json::error_code&) {
    stack.push_bool(value);
    return true;
  }
  bool on_null(json::error_code&) {
    stack.push_null();
    return true;
  }
  bool on_comment_part(json::string_view, json::error_code&) { return true; }
  bool on_comment(json::string_view, json::error_code&) { return true; }

 private:
  static bool is_integer(std::string_view text) {
    return text.find_first_of(".eE") == std::string_view::npos;
  }
  bool refuse(std::string why, json::error_code& error) {
    refused = std::move(why);
    error = json::error::extra_data;
    return false;
  }

  std::vector<std::unordered_set<std::string>> names_;
  std::string key_;
  bool integer_ = true;  // all parts of the current number so far form an integer
};

// Checks the grammar and keeps nothing.
struct SyntaxHandler {
  static constexpr size_t max_object_size = static_cast<size_t>(-1);
  static constexpr size_t max_array_size = static_cast<size_t>(-1);
  static constexpr size_t max_key_size = static_cast<size_t>(-1);
  static constexpr size_t max_string_size = static_cast<size_t>(-1);

  bool on_document_begin(json::error_code&) { return true; }
  bool on_document_end(json::error_code&) { return true; }
  bool on_object_begin(json::error_code&) { return true; }
  bool on_object_end(size_t, json::error_code&) { return true; }
  bool on_array_begin(json::error_code&) { return true; }
  bool on_array_end(size_t, json::error_code&) { return true; }
  bool on_key_part(json::string_view, size_t, json::error_code&) { return true; }
  bool on_key(json::string_view, size_t, json::error_code&) { return true; }
  bool on_string_part(json::string_view, size_t, json::error_code&) { return true; }
  bool on_string(json::string_view, size_t, json::error_code&) { return true; }
  bool on_number_part(json::string_view, json::error_code&) { return true; }
  bool on_int64(int64_t, json::string_view, json::error_code&) { return true; }
  bool on_uint64(uint64_t, json::string_view, json::error_code&) { return true; }
  bool on_double(double, json::string_view, json::error_code&) { return true; }
  bool on_bool(bool, json::error_code&) { return true; }
  bool on_null(json::error_code&) { return true; }
  bool on_comment_part(json::string_view, json::error_code&) { return true; }
  bool on_comment(json::string_view, json::error_code&) { return true; }
};

void write_pretty(std::string& out, const json::value& value, size_t indent) {
  const auto newline = [&](size_t depth) { out.append("\n").append(depth * 2, ' '); };
  if (value.is_object() && !value.get_object().empty()) {
    out.push_back('{');
    for (bool first = true; const auto& [name, member] : value.get_object()) {
      if (!std::exchange(first, false)) out.push_back(',');
      newline(indent + 1);
      out.append(json::serialize(name)).append(": ");
      write_pretty(out, member, indent + 1);
    }
    newline(indent);
    out.push_back('}');
  } else if (value.is_array() && !value.get_array().empty()) {
    out.push_back('[');
    for (bool first = true; const auto& element : value.get_array()) {
      if (!std::exchange(first, false)) out.push_back(',');
      newline(indent + 1);
      write_pretty(out, element, indent + 1);
    }
    newline(indent);
    out.push_back(']');
  } else {
    out.append(json::serialize(value));
  }
}

constexpr std::string_view kUtf8Mark = "\xEF\xBB\xBF";

// Returns the encoding of text in units of several bytes; empty: single bytes. The first character
// of a policy or a document is ASCII, and text has no NUL, so that a byte order mark is not needed.
std::string_view wide_encoding(std::string_view text) {
  using namespace std::string_view_literals;
  if (text.starts_with("\xFF\xFE\0\0"sv)) return "UTF-32";
  if (text.starts_with("\0\0\xFE\xFF"sv)) return "UTF-32";
  if (text.starts_with("\xFF\xFE"sv) || text.starts_with("\xFE\xFF"sv)) return "UTF-16";
  if (text.size() < 2) return {};
  const bool is_long = text.size() >= 4;
  if (text[0] != 0 && text[1] == 0)
    return is_long && text[2] == 0 && text[3] == 0 ? "UTF-32LE" : "UTF-16LE";
  if (text[0] == 0 && text[1] != 0) return "UTF-16BE";
  return is_long && text[0] == 0 && text[2] == 0 && text[3] != 0 ? "UTF-32BE" : ""sv;
}

// For text that is not UTF-8: 0x80 to 0x9F are control characters in Latin-1, which people do not
// type.
bool has_windows_byte(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const size_t size = utf8_sequence_bytes(text.substr(i));
    const auto byte = static_cast<uint8_t>(text[i]);
    if (size == 0 && byte >= 0x80 && byte <= 0x9f) return true;
    i += std::max<size_t>(size, 1);
  }
  return false;
}

std::string_view narrow_encoding(std::string_view text) {
  return has_windows_byte(text) ? "WINDOWS-1252" : "ISO-8859-1";
}
std::string_view narrow_name(std::string_view text) {
  return has_windows_byte(text) ? "Windows-1252" : "Latin-1";
}

Result<json::value> parse_strict(std::string_view text) {
  json::parse_options options;
  options.max_depth = limits::kJsonDepthMax;
  json::basic_parser<StrictHandler> parser(options);
  parser.handler().stack.reset();
  json::error_code error;
  const size_t consumed = parser.write_some(false, text.data(), text.size(), error);
  const TextPosition at = error ? position_at(text, consumed) : TextPosition{};
  if (!parser.handler().refused.empty()) return fail_at(at, parser.handler().refused);
  if (error) return fail_at(at, error.message());
  const size_t rest = text.find_first_not_of(" \t\r\n", consumed);
  if (rest != std::string_view::npos)
    return fail_at(position_at(text, rest), "other text after the end of the document");
  return parser.handler().stack.release();
}

}  // namespace

TextPosition position_at(std::string_view text, size_t offset) {
  const std::string_view before = text.substr(0, std::min(offset, text.size()));
  const size_t line_start = before.rfind('\n') + 1;  // npos + 1 is 0
  return {static_cast<uint32_t>(std::ranges::count(before, '\n') + 1),
          static_cast<uint32_t>(before.size() - line_start + 1)};
}

std::unexpected<Error> fail_at(TextPosition position, std::string_view what) {
  return std::unexpected(Error{
      ErrorCode::kMessage,
      fmt::format("line {}, column {}: {}", position.line, position.column, what),
      {{"line", std::to_string(position.line)}, {"column", std::to_string(position.column)}}});
}

Result<void> check_utf8(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const size_t size = utf8_sequence_bytes(text.substr(i));
    if (size == 0) return fail_at(position_at(text, i), "not valid UTF-8");
    i += size;
  }
  return {};
}

Result<void> check_encoding(std::string_view text, ByteOrderMark mark) {
  if (const auto wide = wide_encoding(text); !wide.empty())
    return fail_at(
        {1, 1}, fmt::format("the file is {0}, not UTF-8: iconv -f {0} -t UTF-8 converts it", wide));
  if (mark == ByteOrderMark::kRefused && text.starts_with(kUtf8Mark))
    return fail_at(
        {1, 1},
        "begins with a UTF-8 byte order mark, which JSON does not allow: save it as UTF-8 "
        "without one; sed -i '1s/^\\xEF\\xBB\\xBF//' takes it out");
  for (size_t i = 0; i < text.size();) {
    const size_t size = utf8_sequence_bytes(text.substr(i));
    if (size == 0)
      return fail_at(
          position_at(text, i),
          fmt::format("the byte 0x{:02X} is not UTF-8; the file looks like {}: iconv -f {} "
                      "-t UTF-8 converts it",
                      static_cast<uint8_t>(text[i]), narrow_name(text), narrow_encoding(text)));
    i += size;
  }
  return {};
}

TextPosition position_of(const Error& error) {
  TextPosition position;
  for (const auto& [name, value] : error.context) {
    uint32_t* field = name == "line"     ? &position.line
                      : name == "column" ? &position.column
                                         : nullptr;
    if (field) std::from_chars(value.data(), value.data() + value.size(), *field);
  }
  return position;
}

Result<json::value> parse_json(std::string_view text) {
  auto parsed = parse_strict(text);
  if (parsed) return parsed;
  // Most apparent syntax errors in another encoding are not syntax errors.
  NOTP_TRY(check_encoding(text, ByteOrderMark::kRefused));
  return parsed;
}

bool is_json(std::string_view text) {
  json::parse_options options;
  options.max_depth = limits::kJsonDepthMax;
  json::basic_parser<SyntaxHandler> parser(options);
  json::error_code error;
  const size_t consumed = parser.write_some(false, text.data(), text.size(), error);
  return !error && text.find_first_not_of(" \t\r\n", consumed) == std::string_view::npos;
}

std::string json_string(std::string_view text) { return json::serialize(json::string(text)); }

std::string pretty_json(const json::value& value) {
  std::string out;
  write_pretty(out, value, 0);
  return out;
}

}  // namespace notp
