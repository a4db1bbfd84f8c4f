// notp mirror: run, once, status, check.
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "common/log.hpp"
#include "tools/notp/command.hpp"
#include "tools/notp/mirror/mirror_check.hpp"
#include "tools/notp/mirror/mirror_daemon.hpp"
#include "tools/notp/mirror/mirror_pass.hpp"
#include "tools/notp/mirror/mirror_report.hpp"

namespace notp::cli {
namespace {

struct MirrorOptions {
  std::string config = kMirrorConfigFile.string();
  std::string name;
};

Result<MirrorsConfig> load(const Context& context, const MirrorOptions& options) {
  auto config = MirrorsConfig::load(options.config, context.environment);
  if (!config) {
    if (config.error().code == ErrorCode::kNotFound)
      return std::unexpected(std::move(config).error().with("hint", "name it by --config FILE"));
    return std::unexpected(Error{ErrorCode::kConfig, config.error().message, {}});
  }
  if (options.name.empty() || config->find(options.name) != nullptr) return config;
  return fail(ErrorCode::kNotFound,
              fmt::format("{} has no mirror '{}'", options.config, printable(options.name)));
}

std::vector<const MirrorConfig*> chosen(const MirrorsConfig& config, const MirrorOptions& options) {
  std::vector<const MirrorConfig*> out;
  for (const MirrorConfig& mirror : config.mirrors)
    if (options.name.empty() || mirror.name == options.name) out.push_back(&mirror);
  return out;
}

// `statuses` are those of `mirrors`, in their order.
void show(const Context& context, const std::vector<const MirrorConfig*>& mirrors,
          const std::vector<MirrorStatus>& statuses, TimeMs now_ms) {
  std::vector<MirrorReport> reports;
  for (size_t i = 0; i < mirrors.size(); ++i) reports.push_back({mirrors[i], &statuses[i]});
  context.output.result(mirrors_text(context.output, reports, now_ms),
                        mirrors_json(reports, now_ms));
}

Result<int> run_run(const Context& context, const MirrorOptions& options) {
  NOTP_ASSIGN(MirrorsConfig config, load(context, options));
  log::configure(config.log.level, config.log.format);
  std::signal(SIGPIPE, SIG_IGN);
  // The passes are not the service: they must not find its variables.
  Environment environment = context.environment;
  for (const char* name : {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"})
    environment.erase(name);
  NOTP_TRY(run_mirrors(std::move(config), environment, systemd::Notifier::take_from_environment()));
  return exit_code::kOk;
}

// One after the other; failures of one do not keep the next from its turn. The exit code is that of
// the first failure, else of the first that waits for a person.
Result<int> run_once(const Context& context, const MirrorOptions& options) {
  NOTP_ASSIGN(const MirrorsConfig config, load(context, options));
  const std::vector<const MirrorConfig*> mirrors = chosen(config, options);
  std::vector<MirrorStatus> statuses;
  int worst = exit_code::kOk;
  for (const MirrorConfig* mirror : mirrors) {
    auto result = run_mirror_pass(context, config, *mirror);
    MirrorStatus status = result ? result->status : load_mirror_status(config.folder_of(*mirror));
    if (!result) status.fail_with(result.error(), MirrorReason::kNone, context.now.wall_ms);
    const int code = result ? result->exit_code() : error_traits(result.error().code).exit;
    if (worst == exit_code::kOk || (worst == exit_code::kPending && code != exit_code::kOk))
      worst = code;
    statuses.push_back(std::move(status));
  }
  show(context, mirrors, statuses, read_clock().wall_ms);
  return worst;
}

// A folder of another user would look like mirrors that have never run.
Result<void> check_readable(const MirrorsConfig& config) {
  if (::access(config.state_dir.c_str(), R_OK | X_OK) == 0 || errno != EACCES) return {};
  return std::unexpected(Error{
      ErrorCode::kIo,
      fmt::format("{} is another user's", config.state_dir.string()),
      {}}.with("hint",
               "ask as the user of the mirror: runuser -u notp-mirror -- notp mirror status"));
}

Result<int> run_status(const Context& context, const MirrorOptions& options) {
  NOTP_ASSIGN(const MirrorsConfig config, load(context, options));
  NOTP_TRY(check_readable(config));
  const std::vector<const MirrorConfig*> mirrors = chosen(config, options);
  std::vector<MirrorStatus> statuses;
  for (const MirrorConfig* mirror : mirrors)
    statuses.push_back(load_mirror_status(config.folder_of(*mirror)));
  show(context, mirrors, statuses, context.now.wall_ms);
  return exit_code::kOk;
}

Result<int> run_check(const Context& context, const MirrorOptions& options) {
  NOTP_ASSIGN(MirrorsConfig config, load(context, options));
  std::vector<std::vector<std::string>> lines{{"MIRROR", "WHAT", "", "MESSAGE"}};
  json::array rows;
  int code = exit_code::kOk;
  for (const MirrorCheckRow& row : check_mirrors(context, config)) {
    const std::string name = row.code ? std::string(error_traits(*row.code).name) : "ok";
    lines.push_back({row.mirror.empty() ? "-" : row.mirror, row.what,
                     context.output.paint(row.code ? Colour::kRed : Colour::kGreen, name),
                     printable(row.message, 400)});
    rows.push_back(json::object{{"mirror", row.mirror},
                                {"what", row.what},
                                {"code", row.code ? name : ""},
                                {"message", row.message}});
    if (row.code && code == exit_code::kOk) code = error_traits(*row.code).exit;
  }
  context.output.result(table(context.output, lines),
                        json::object{{"ok", code == exit_code::kOk}, {"checks", std::move(rows)}});
  return code;
}

void declare_config(CLI::App& command, MirrorOptions& options) {
  command.add_option("--config", options.config, "The configuration of the mirrors")
      ->type_name("FILE")
      ->capture_default_str();
}

void declare_named(CLI::App& command, MirrorOptions& options) {
  declare_config(command, options);
  command.add_option("mirror", options.name, "Only this one")->type_name("NAME");
}

}  // namespace

void add_mirror(Commands& commands) {
  CLI::App* mirror = commands.root().add_subcommand(
      "mirror", "Publish what upstream Git repositories have, with a key of its own");
  mirror->require_subcommand(1);
  commands.add<MirrorOptions>(
      *mirror, "run", "Follow the upstream repositories until SIGTERM",
      [](CLI::App& command, MirrorOptions& options) {
        declare_config(command, options);
        command.footer(
            "Looks at each repository at its interval and after a webhook. SIGHUP, and changes of "
            "the\nfiles, reload the mirrors. Logs JSON lines on standard error.");
      },
      run_run);
  commands.add<MirrorOptions>(
      *mirror, "once", "Make one pass of each mirror, or of one",
      [](CLI::App& command, MirrorOptions& options) {
        declare_named(command, options);
        command.footer(
            "For cron and pipelines. Exits with 9 when a release waits for a person, 7 when the "
            "tip is\nnot signed as it must be, 3 when its model is not valid.");
      },
      run_once);
  commands.add<MirrorOptions>(*mirror, "status", "Show what each mirror did last", declare_named,
                              run_status);
  commands.add<MirrorOptions>(*mirror, "check",
                              "Check configuration, keys, registry and upstream; publishes nothing",
                              declare_config, run_check);
}

}  // namespace notp::cli
