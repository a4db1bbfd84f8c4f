// notp config: every setting with its value and source.
#include <fmt/format.h>

#include <filesystem>

#include "tools/notp/command.hpp"

namespace notp::cli {
namespace {

struct ConfigOptions {
  std::string folder = ".";
};

// The route to the registry; an error in it is shown as a finding and does not fail the command.
std::string route_text(const Settings& settings) {
  const auto target = HostPort::parse(settings.registry);
  if (!target) return target.error().message;
  const auto route = http::choose_proxy(settings.proxy, settings.environment, *target);
  return route ? route->text() : route.error().message;
}

// Hides a URL with a password, which is refused where it is used.
std::string shown_value(const ChosenSetting& setting) {
  const size_t at = setting.name == "proxy" ? setting.value.rfind('@') : std::string::npos;
  if (at == std::string::npos) return setting.value;
  const size_t scheme = setting.value.find("://");
  const size_t user = scheme == std::string::npos ? 0 : scheme + 3;
  const size_t colon = setting.value.find(':', user);
  return colon < at ? setting.value.substr(0, colon) + ":***" + setting.value.substr(at)
                    : setting.value;
}

Result<int> run_config(const Context& context, const ConfigOptions& options) {
  NOTP_ASSIGN(const Settings settings, context.settings(options.folder));
  std::vector<std::vector<std::string>> rows{{"SETTING", "VALUE", "FROM"}};
  json::object values;
  for (const ChosenSetting& setting : settings.chosen) {
    const std::string value = shown_value(setting);
    rows.push_back({setting.name, value.empty() ? "-" : printable(value), setting.source});
    values[setting.name] = value.empty()
                               ? json::object{{"value", nullptr}, {"source", nullptr}}
                               : json::object{{"value", value}, {"source", setting.source}};
  }
  std::string text = table(context.output, rows);
  json::array files;
  text += "\nFiles that were read, the first one that sets something decides:\n";
  for (const auto& file : settings.configs) {
    text += fmt::format("  {}\n", file.string());
    files.emplace_back(file.string());
  }
  if (settings.configs.empty()) text += "  none\n";
  const std::string route = route_text(settings);
  text += fmt::format("The registry is reached {}\n", route);
  context.output.result(
      text,
      json::object{{"settings", std::move(values)}, {"files", std::move(files)}, {"route", route}});
  return exit_code::kOk;
}

}  // namespace

void add_config(Commands& commands) {
  commands.add<ConfigOptions>(
      commands.root(), "config", "Show every setting, and what set it",
      [](CLI::App& command, ConfigOptions& options) {
        command.add_option("folder", options.folder, "The workspace that it is shown for")
            ->type_name("DIR")
            ->capture_default_str();
      },
      run_config);
}

}  // namespace notp::cli
