#include "tools/notp/settings.hpp"

#include <fmt/format.h>

#include "common/files.hpp"
#include "common/limits.hpp"

namespace notp::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kSchema = R"({
  "$schema": "http://json-schema.org/draft-07/schema#",
  "title": "configuration of notp",
  "type": "object",
  "additionalProperties": false,
  "properties": {
    "registry": {"type": "string", "minLength": 1, "description": "host:port of the registry"},
    "registry_identity": {"type": "string", "minLength": 1, "maxLength": 2048,
                     "description": "whom the registry's certificate must name: registry/main, or any SPIFFE id of the trust domain; default: registry/*"},
    "trust_domain": {"type": "string", "minLength": 1,
                     "description": "as in core-platform.internal; default: the root's"},
    "root": {"type": "string", "minLength": 1, "description": "file: the pinned root statement"},
    "ledger": {"type": "string", "minLength": 1, "description": "zone/name that commands mean when they name none"},
    "signing_key": {"type": "string", "minLength": 1, "description": "file: the key that signs releases"},
    "tls": {
      "type": "object", "additionalProperties": false, "description": "PEM files", "default": {},
      "properties": {
        "certificate": {"type": "string", "minLength": 1, "description": "file: own chain, leaf first"},
        "key": {"type": "string", "minLength": 1, "description": "file: private key of the leaf"},
        "ca": {"type": "string", "minLength": 1, "description": "file: certificates that the registry must chain to"}
      }
    }
  }
})";

std::string variable(const Environment& environment, const std::string& name) {
  const auto found = environment.find(name);
  return found == environment.end() ? std::string() : found->second;
}

// The first file of that name in `folder` or above it.
std::optional<fs::path> find_upwards(const fs::path& folder, const fs::path& name) {
  std::error_code error;
  fs::path at = fs::weakly_canonical(fs::absolute(folder, error), error);
  while (!error && !at.empty()) {
    if (fs::exists(at / name, error)) return at / name;
    if (at == at.root_path()) break;
    at = at.parent_path();
  }
  return std::nullopt;
}

std::string text_of(const json::value& config, std::string_view path) {
  const json::value* value = config_find(config, path);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

}  // namespace

std::optional<fs::path> find_config(const Flags& flags, const Environment& environment,
                                    const fs::path& folder) {
  if (!flags.config.empty()) return flags.config;
  if (std::string named = variable(environment, "NOTP_CONFIG"); !named.empty()) return named;
  if (auto found = find_upwards(folder, ".notp/config.yaml")) return found;
  fs::path base = variable(environment, "XDG_CONFIG_HOME");
  if (base.empty()) {
    const std::string home = variable(environment, "HOME");
    if (home.empty()) return std::nullopt;
    base = fs::path(home) / ".config";
  }
  std::error_code error;
  if (fs::exists(base / "notp/config.yaml", error)) return base / "notp/config.yaml";
  return std::nullopt;
}

Result<Settings> load_settings(const Flags& flags, const Environment& environment,
                               const fs::path& folder) {
  Settings settings;
  settings.config = find_config(flags, environment, folder);
  const auto loaded = load_config(
      {.file = settings.config, .schema = kSchema, .env_prefix = "NOTP", .environment = {}});
  if (!loaded) return fail(ErrorCode::kConfig, loaded.error().message);
  const json::value& config = *loaded;
  const auto choose = [&](const std::string& flag, std::string_view path) {
    return flag.empty() ? text_of(config, path) : flag;
  };
  const auto choose_file = [&](const std::string& flag, std::string_view path) -> fs::path {
    if (!flag.empty()) return flag;
    const std::string text = text_of(config, path);
    return text.empty() ? fs::path() : settings.config->parent_path() / text;
  };
  settings.registry = choose(flags.registry, "registry");
  settings.registry_identity = choose(flags.registry_identity, "registry_identity");
  settings.trust_domain = choose(flags.trust_domain, "trust_domain");
  settings.ledger = text_of(config, "ledger");
  settings.certificate = choose_file(flags.certificate, "tls.certificate");
  settings.key = choose_file(flags.key, "tls.key");
  settings.ca = choose_file(flags.ca, "tls.ca");
  settings.root = choose_file(flags.root, "root");
  if (fs::path key = choose_file({}, "signing_key"); !key.empty())
    settings.signing_keys.push_back(std::move(key));
  return settings;
}

Result<LedgerId> choose_ledger(const std::string& text, const Settings& settings) {
  if (!text.empty()) return LedgerId::parse(text);
  if (!settings.ledger.empty()) return LedgerId::parse(settings.ledger);
  return std::unexpected(Error{ErrorCode::kUsage, "no ledger is named", {}}.with(
      "hint", "give --ledger <zone>/<name>, or 'ledger:' in the configuration"));
}

}  // namespace notp::cli
