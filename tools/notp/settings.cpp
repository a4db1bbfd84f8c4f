#include "tools/notp/settings.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "schemas/embedded.hpp"

namespace notp::cli {
namespace {

namespace fs = std::filesystem;

std::string variable(const Environment& environment, const std::string& name) {
  const auto found = environment.find(name);
  return found == environment.end() ? std::string() : found->second;
}

// The nearest file of that name, in `folder` or above it.
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

// A setting with the sources that override the files.
struct Setting {
  std::string_view name;
  bool is_file = false;
  std::string Flags::* flag = nullptr;  // nullptr: set by files only
  std::string_view option = {}, variable = {};
};

constexpr std::array kSettings = {
    Setting{"registry", false, &Flags::registry, "--registry", "NOTP_REGISTRY"},
    Setting{"registry_identity", false, &Flags::registry_identity, "--registry-identity",
            "NOTP_REGISTRY_IDENTITY"},
    Setting{"trust_domain", false, &Flags::trust_domain, "--trust-domain", "NOTP_TRUST_DOMAIN"},
    Setting{"root", true, &Flags::root, "--root", "NOTP_ROOT"},
    Setting{.name = "ledger"},
    Setting{.name = "signing_key", .is_file = true},
    Setting{"tls.certificate", true, &Flags::certificate, "--cert", "NOTP_CERT"},
    Setting{"tls.key", true, &Flags::key, "--key", "NOTP_KEY"},
    Setting{"tls.ca", true, &Flags::ca, "--ca", "NOTP_CA"},
    Setting{"proxy", false, &Flags::proxy, "--proxy", "NOTP_PROXY"},
    Setting{.name = "proxy_password_file", .is_file = true}};

struct Layer {
  fs::path file;
  json::value config;
};

Result<std::vector<Layer>> read_layers(const std::vector<fs::path>& files) {
  std::vector<Layer> layers;
  for (const fs::path& file : files) {
    auto loaded = load_config(
        {.file = file, .schema = schemas::kCliConfig, .env_prefix = "NOTP", .environment = {}});
    if (!loaded) return fail(ErrorCode::kConfig, loaded.error().message);
    layers.push_back({file, *std::move(loaded)});
  }
  return layers;
}

ChosenSetting choose(const Setting& setting, const Flags& flags, const Environment& environment,
                     const std::vector<Layer>& layers) {
  ChosenSetting out{std::string(setting.name), {}, {}};
  if (setting.flag != nullptr && !(flags.*setting.flag).empty()) {
    out.value = flags.*setting.flag;
    // The command line's parser accepts either; only the variable tells which one was given.
    const bool by_variable = variable(environment, std::string(setting.variable)) == out.value;
    out.source = by_variable ? setting.variable : setting.option;
    return out;
  }
  for (const Layer& layer : layers) {
    const std::string text = text_of(layer.config, setting.name);
    if (text.empty()) continue;
    out.value = setting.is_file ? (layer.file.parent_path() / text).string() : text;
    out.source = layer.file.string();
    return out;
  }
  return out;
}

fs::path user_config(const Environment& environment) {
  fs::path base = variable(environment, "XDG_CONFIG_HOME");
  if (base.empty()) {
    const std::string home = variable(environment, "HOME");
    if (home.empty()) return {};
    base = fs::path(home) / ".config";
  }
  return base / "notp/config.yaml";
}

// The secret of one proxy must not go to another: only the source that names the proxy may name the
// file.
void keep_password_with_proxy(ChosenSetting& file, const ChosenSetting& proxy) {
  if (file.source != proxy.source) file.value.clear(), file.source.clear();
}

}  // namespace

std::vector<fs::path> find_configs(const Flags& flags, const Environment& environment,
                                   const fs::path& folder, const fs::path& system) {
  std::vector<fs::path> found;
  const auto add = [&](const fs::path& file) {
    std::error_code error;
    if (file.empty() || !fs::exists(file, error)) return;
    const auto is_same = [&](const fs::path& other) { return fs::equivalent(file, other, error); };
    if (std::ranges::none_of(found, is_same)) found.push_back(file);
  };
  const std::string named =
      flags.config.empty() ? variable(environment, "NOTP_CONFIG") : flags.config;
  if (!named.empty()) found.emplace_back(named);
  add(find_upwards(folder, ".notp/config.yaml").value_or(fs::path()));
  add(user_config(environment));
  add(system);
  return found;
}

Result<Settings> load_settings(const Flags& flags, const Environment& environment,
                               const fs::path& folder, const fs::path& system) {
  Settings settings;
  settings.environment = environment;
  settings.configs = find_configs(flags, environment, folder, system);
  NOTP_ASSIGN(const auto layers, read_layers(settings.configs));
  for (const Setting& setting : kSettings)
    settings.chosen.push_back(choose(setting, flags, environment, layers));
  const auto chosen = [&](std::string_view name) -> ChosenSetting& {
    return *std::ranges::find(settings.chosen, name, &ChosenSetting::name);
  };
  keep_password_with_proxy(chosen("proxy_password_file"), chosen("proxy"));
  settings.registry = chosen("registry").value;
  settings.registry_identity = chosen("registry_identity").value;
  settings.trust_domain = chosen("trust_domain").value;
  settings.ledger = chosen("ledger").value;
  settings.certificate = chosen("tls.certificate").value;
  settings.key = chosen("tls.key").value;
  settings.ca = chosen("tls.ca").value;
  settings.root = chosen("root").value;
  if (fs::path key = chosen("signing_key").value; !key.empty())
    settings.signing_keys.push_back(std::move(key));
  settings.proxy = {.url = chosen("proxy").value,
                    .password_file = chosen("proxy_password_file").value};
  if (const std::string& source = chosen("proxy").source; !source.empty())
    settings.proxy.source = flags.proxy.empty() ? fmt::format("proxy of {}", source) : source;
  return settings;
}

Result<model::LedgerId> choose_ledger(const std::string& text, const Settings& settings) {
  if (!text.empty()) return model::LedgerId::parse(text);
  if (!settings.ledger.empty()) return model::LedgerId::parse(settings.ledger);
  return std::unexpected(Error{ErrorCode::kUsage, "no ledger is named", {}}.with(
      "hint",
      "give --ledger <zone>/<name>, or 'ledger:' in a configuration; 'notp config' shows what is "
      "set, and where"));
}

}  // namespace notp::cli
