// Loads a program's configuration: one YAML or JSON file, one JSON Schema that defines the allowed
// content, and environment variables over the file.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "common/json/json.hpp"

namespace notp {

using Environment = std::map<std::string, std::string>;

// Copies the environment of this process: call before threads start.
Environment process_environment();

struct ConfigSource {
  std::optional<std::filesystem::path> file;  // *.json is read as JSON, any other as YAML
  std::string_view schema;                    // a JSON Schema of an object
  std::string env_prefix;                     // as in "NOTP_SERVER"
  Environment environment;
};

// Loads the configuration, valid by its schema, with the schema's defaults filled in. In this
// order:
//   1. the file, or nothing when there is none;
//   2. the environment: the variable of a property is the prefix and the names on the way to it, in
//      upper case, joined by "_": tls.certificate is NOTP_SERVER_TLS_CERTIFICATE. Its text is read
//      by the property's type: a string unchanged, an integer, true or false, an array of strings
//      as a list between commas; other arrays (and any that starts with "[") as JSON. An empty
//      variable counts as not set. A variable with the prefix that names no property is an error;
//   3. "default" of each property that is still absent; objects get theirs by "default": {}.
// kConfig with a line for each mistake: the file or variable, the field, the problem, and the
// field's description from the schema. kNotFound and kIo when the file cannot be read.
Result<json::value> load_config(const ConfigSource& source);

// Returns a field by its path, as in "tls.key"; nullptr when it is absent.
const json::value* config_find(const json::value& config, std::string_view path);
// Returns a field that the schema requires or gives a default: absence or another type is a bug
// (asserted).
std::string config_text(const json::value& config, std::string_view path);
int64_t config_integer(const json::value& config, std::string_view path);

}  // namespace notp
