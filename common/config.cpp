#include "common/config.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <numeric>
#include <vector>

#include "common/assert.hpp"
#include "common/json/json_schema.hpp"
#include "common/json/yaml.hpp"
#include "common/limits.hpp"
#include "common/storage/files.hpp"

namespace notp {
namespace {

using Path = std::vector<std::string>;

// A property of the schema that one variable can set.
struct Property {
  Path path;
  const json::object* schema;
};

const json::object* find_object(const json::object& object, std::string_view name) {
  const json::value* const value = object.if_contains(name);
  return value ? value->if_object() : nullptr;
}

std::string_view find_text(const json::object& object, std::string_view name) {
  const json::value* const value = object.if_contains(name);
  return value && value->is_string() ? std::string_view(value->get_string()) : std::string_view();
}

// Collects properties in the schema's order; an object with properties stands for its members.
void collect_properties(const json::object& schema, Path& path, std::vector<Property>& out) {
  const json::object* const properties = find_object(schema, "properties");
  if (!properties) return;
  for (const auto& [name, value] : *properties) {
    path.emplace_back(name);
    if (value.is_object() && value.get_object().contains("properties"))
      collect_properties(value.get_object(), path, out);
    else if (value.is_object())
      out.push_back({path, &value.get_object()});
    path.pop_back();
  }
}

std::string variable_name(std::string_view prefix, const Path& path) {
  std::string name = fmt::format("{}_{}", prefix, fmt::join(path, "_"));
  std::ranges::transform(name, name.begin(), [](char c) {
    return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  });
  return name;
}

std::unexpected<Error> bad_variable(std::string_view variable, std::string_view text,
                                    std::string_view expected) {
  return fail(ErrorCode::kConfig,
              fmt::format("{}: \"{}\" is not {}", variable, printable(text, 80), expected));
}

Result<json::value> read_array(const std::string& variable, const std::string& text,
                               const json::object& schema) {
  const json::object* const items = find_object(schema, "items");
  const bool of_strings = items && find_text(*items, "type") == "string";
  if (!of_strings || text.starts_with('[')) {
    auto parsed = parse_json(text);
    if (!parsed || !parsed->is_array()) return bad_variable(variable, text, "a JSON array");
    return parsed;
  }
  json::array array;
  for (std::string_view rest = text;;) {
    const size_t comma = rest.find(',');
    std::string_view element = rest.substr(0, comma);
    while (element.starts_with(' ')) element.remove_prefix(1);
    while (element.ends_with(' ')) element.remove_suffix(1);
    array.emplace_back(element);
    if (comma == std::string_view::npos) return array;
    rest.remove_prefix(comma + 1);
  }
}

Result<json::value> read_variable(const std::string& variable, const std::string& text,
                                  const json::object& schema) {
  if (!is_utf8(text)) return bad_variable(variable, text, "valid UTF-8");
  const std::string_view type = find_text(schema, "type");
  if (type == "integer") {
    int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size())
      return bad_variable(variable, text, "an integer");
    return value;
  }
  if (type == "boolean") {
    if (text == "true") return true;
    if (text == "false") return false;
    return bad_variable(variable, text, "true or false");
  }
  if (type == "array") return read_array(variable, text, schema);
  NOTP_ASSERT(type == "string", "a configuration schema with a type that no variable can carry");
  return json::value(text);
}

// kConfig when a value that is not an object is in the way.
Result<void> set_field(json::object& config, const Path& path, json::value value) {
  json::object* object = &config;
  for (size_t i = 0; i + 1 < path.size(); ++i) {
    json::value& next = object->emplace(path[i], json::object()).first->value();
    if (!next.is_object())
      return fail(ErrorCode::kConfig,
                  fmt::format("{} must be an object with fields of its own",
                              fmt::join(path.begin(), path.begin() + i + 1, ".")));
    object = &next.get_object();
  }
  object->insert_or_assign(path.back(), std::move(value));
  return {};
}

size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i + 1);
    for (size_t j = 0; j < b.size(); ++j) {
      const size_t substituted = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({row[j] + 1, row[j + 1] + 1, substituted});
    }
  }
  return row.back();
}

// Returns the three names nearest to one that does not exist.
std::string nearest(std::string_view wanted, const std::vector<std::string>& names) {
  constexpr size_t kNearest = 3;
  std::vector<std::pair<size_t, std::string_view>> ranked;
  for (const std::string& name : names) ranked.emplace_back(edit_distance(wanted, name), name);
  std::ranges::sort(ranked);
  ranked.resize(std::min(ranked.size(), kNearest));
  std::vector<std::string_view> shown;
  for (const auto& [distance, name] : ranked) shown.push_back(name);
  return fmt::format("{}", fmt::join(shown, ", "));
}

std::string pointer_of(const Path& path) { return fmt::format("/{}", fmt::join(path, "/")); }

// Applies the variables; returns by JSON pointer which variable set which field.
Result<std::map<std::string, std::string>> apply_environment(json::object& config,
                                                             const json::object& schema,
                                                             const ConfigSource& source) {
  std::vector<Property> properties;
  Path path;
  collect_properties(schema, path, properties);
  std::map<std::string, const Property*> by_variable;
  std::vector<std::string> names;
  for (const Property& property : properties) {
    names.push_back(variable_name(source.env_prefix, property.path));
    NOTP_ASSERT(by_variable.emplace(names.back(), &property).second,
                "two properties of a configuration schema share a variable");
  }
  std::map<std::string, std::string> origins;
  for (const auto& [variable, text] : source.environment) {
    if (!variable.starts_with(source.env_prefix + "_") || text.empty()) continue;
    const auto found = by_variable.find(variable);
    if (found == by_variable.end())
      return fail(ErrorCode::kConfig, fmt::format("the environment variable {} sets nothing; the "
                                                  "nearest names are {}",
                                                  printable(variable), nearest(variable, names)));
    NOTP_ASSIGN(json::value value, read_variable(variable, text, *found->second->schema));
    NOTP_TRY(set_field(config, found->second->path, std::move(value)));
    origins[pointer_of(found->second->path)] = variable;
  }
  return origins;
}

void fill_defaults(json::object& config, const json::object& schema) {
  const json::object* const properties = find_object(schema, "properties");
  if (!properties) return;
  for (const auto& [name, property] : *properties) {
    const json::object& member = property.as_object();
    if (const json::value* const value = member.if_contains("default"))
      config.emplace(name, *value);
    json::value* const field = config.if_contains(name);
    if (field && field->is_object()) fill_defaults(field->get_object(), member);
  }
}

// Returns the description in the schema of the field that a JSON pointer names.
std::string_view description_of(const json::object& schema, std::string_view pointer) {
  const json::object* at = &schema;
  while (at && pointer.size() > 1) {
    pointer.remove_prefix(1);
    const std::string_view segment = pointer.substr(0, pointer.find('/'));
    pointer.remove_prefix(segment.size());
    const json::object* const properties = find_object(*at, "properties");
    at = properties ? find_object(*properties, segment) : find_object(*at, "items");
  }
  return at && at != &schema ? find_text(*at, "description") : std::string_view();
}

// "pointer: message" -> "server.yaml: tls.key: message (description)"
std::string explain(std::string_view violation, const json::object& schema,
                    const std::string& file_name,
                    const std::map<std::string, std::string>& origins) {
  const size_t colon = violation.find(": ");
  if (colon == std::string_view::npos) return fmt::format("{}: {}", file_name, violation);
  const std::string pointer(violation.substr(0, colon));
  const std::string_view message = violation.substr(colon + 2);
  const auto origin = origins.find(pointer);
  std::string line = fmt::format("{}: ", origin == origins.end() ? file_name : origin->second);
  if (pointer.starts_with('/')) {
    std::string field = pointer.substr(1);
    std::ranges::replace(field, '/', '.');
    line += field + ": ";
  }
  const auto description = description_of(schema, pointer);
  if (description.empty()) return line += message;
  // The description is for people; the expression after it is not.
  const size_t expression = message.find(" does not match ");
  line += expression == std::string_view::npos
              ? std::string(message)
              : fmt::format("{} is not such a value", message.substr(0, expression));
  return line += fmt::format(" ({})", description);
}

Result<void> check_schema(const json::object& config, const json::object& schema,
                          const ConfigSource& source, const std::string& file_name,
                          const std::map<std::string, std::string>& origins) {
  const auto checked = validate_json_schema(source.schema, json::serialize(config));
  if (checked) return {};
  if (checked.error().code != ErrorCode::kInvalidModel) return checked;
  std::string text;
  for (std::string_view rest = checked.error().message; !rest.empty();) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    if (!text.empty()) text += '\n';
    text += explain(line, schema, file_name, origins);
  }
  return fail(ErrorCode::kConfig, std::move(text));
}

Result<json::object> read_document(const std::filesystem::path& file) {
  NOTP_ASSIGN(const Bytes text, read_file(file, limits::kConfigBytesMax));
  auto parsed = file.extension() == ".json" ? parse_json(text) : parse_yaml(text);
  if (!parsed)
    return fail(ErrorCode::kConfig, fmt::format("{}: {}", file.string(), parsed.error().message));
  if (parsed->is_null()) return json::object();
  if (!parsed->is_object())
    return fail(ErrorCode::kConfig,
                fmt::format("{}: a configuration is a mapping of names to values", file.string()));
  return std::move(parsed->get_object());
}

}  // namespace

Environment process_environment() {
  Environment environment;
  for (char** entry = ::environ; entry && *entry; ++entry) {
    const std::string_view text(*entry);
    const size_t equals = text.find('=');
    if (equals != std::string_view::npos)
      environment.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  return environment;
}

Result<json::value> load_config(const ConfigSource& source) {
  const auto schema = parse_json(source.schema);
  NOTP_ASSERT(schema && schema->is_object(), "a configuration schema is not a JSON object");
  json::object config;
  if (source.file) {
    NOTP_ASSIGN(config, read_document(*source.file));
  }
  NOTP_ASSIGN(const auto origins, apply_environment(config, schema->get_object(), source));
  fill_defaults(config, schema->get_object());
  const std::string file_name = source.file ? source.file->string() : "configuration";
  NOTP_TRY(check_schema(config, schema->get_object(), source, file_name, origins));
  return config;
}

const json::value* config_find(const json::value& config, std::string_view path) {
  const json::value* at = &config;
  while (at && !path.empty()) {
    const std::string_view name = path.substr(0, path.find('.'));
    path.remove_prefix(std::min(name.size() + 1, path.size()));
    at = at->is_object() ? at->get_object().if_contains(name) : nullptr;
  }
  return at;
}

std::string config_text(const json::value& config, std::string_view path) {
  const json::value* const value = config_find(config, path);
  NOTP_ASSERT(value && value->is_string(),
              "a configuration field that the schema does not promise");
  return std::string(value->get_string());
}

int64_t config_integer(const json::value& config, std::string_view path) {
  const json::value* const value = config_find(config, path);
  NOTP_ASSERT(value && value->is_number(),
              "a configuration field that the schema does not promise");
  // JSON Schema counts 8.0 as an integer.
  json::error_code error;
  const auto number = value->to_number<int64_t>(error);
  NOTP_ASSERT(!error, "a configuration schema without bounds for an integer");
  return number;
}

}  // namespace notp
