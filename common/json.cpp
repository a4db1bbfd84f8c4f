#include "common/json.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/basic_parser_impl.hpp>
#include <string>
#include <unordered_set>
#include <vector>

#include "common/limits.hpp"

namespace notp {
namespace {

std::string position_text(std::string_view text, size_t offset) {
  offset = std::min(offset, text.size());
  const auto line = std::ranges::count(text.substr(0, offset), '\n') + 1;
  const auto line_start = text.substr(0, offset).rfind('\n');
  const size_t column = offset - (line_start == std::string_view::npos ? 0 : line_start + 1) + 1;
  return fmt::format("line {}, column {}", line, column);
}

// Builds the value through json::value_stack as json::parse does, and refuses a name given twice,
// which json::parse silently lets the last one win.
class StrictHandler {
 public:
  static constexpr size_t max_object_size = static_cast<size_t>(-1);
  static constexpr size_t max_array_size = static_cast<size_t>(-1);
  static constexpr size_t max_key_size = static_cast<size_t>(-1);
  static constexpr size_t max_string_size = static_cast<size_t>(-1);

  json::value_stack stack;
  std::string duplicate;  // the first name found twice

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
    if (!names_.back().insert(key_).second) {
      duplicate = key_;
      error = json::error::extra_data;
      return false;
    }
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
  bool on_number_part(json::string_view, json::error_code&) { return true; }
  bool on_int64(int64_t value, json::string_view, json::error_code&) {
    stack.push_int64(value);
    return true;
  }
  bool on_uint64(uint64_t value, json::string_view, json::error_code&) {
    stack.push_uint64(value);
    return true;
  }
  bool on_double(double value, json::string_view, json::error_code&) {
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
  std::vector<std::unordered_set<std::string>> names_;
  std::string key_;
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

}  // namespace

Result<json::value> parse_json(std::string_view text) {
  json::parse_options options;
  options.max_depth = limits::kJsonDepthMax;
  json::basic_parser<StrictHandler> parser(options);
  parser.handler().stack.reset();
  json::error_code error;
  const size_t consumed = parser.write_some(false, text.data(), text.size(), error);
  if (!parser.handler().duplicate.empty())
    return fail(ErrorCode::kMessage,
                fmt::format("{}: the name \"{}\" stands twice in one object",
                            position_text(text, consumed), parser.handler().duplicate));
  if (!error && text.find_first_not_of(" \t\r\n", consumed) != std::string_view::npos)
    error = json::error::extra_data;
  if (error)
    return fail(ErrorCode::kMessage,
                fmt::format("{}: {}", position_text(text, consumed), error.message()));
  return parser.handler().stack.release();
}

std::string pretty_json(const json::value& value) {
  std::string out;
  write_pretty(out, value, 0);
  return out;
}

}  // namespace notp
