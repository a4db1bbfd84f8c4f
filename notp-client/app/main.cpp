// The sync agent of a proximity node.
#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>

#include "common/command_tree.hpp"
#include "common/core_dumps.hpp"
#include "common/large_blocks.hpp"
#include "notp-client/app/app.hpp"
#include "notp-client/app/decision_commands.hpp"
#include "notp-client/app/enroll_command.hpp"
#include "notp-client/app/setup_check.hpp"
#include "notp-client/app/store_commands.hpp"
#include "notp-client/app/token_command.hpp"

namespace {

int failed(const notp::Error& error) {
  std::fputs(notp::log::for_stderr(notp::log::Level::kError, "notp-client: " + error.message + "\n")
                 .c_str(),
             stderr);
  return notp::error_traits(error.code).exit;
}

struct StoreOptions {
  std::string data_dir, format = "text";
  CLI::App *all = nullptr, *verify = nullptr, *stats = nullptr;
};

void add_store(CLI::App& app, StoreOptions& options) {
  CLI::App* store = options.all =
      app.add_subcommand("store", "look at the store of a stopped agent; changes nothing");
  store->require_subcommand(1);
  store
      ->add_option("--data-dir", options.data_dir,
                   "the store's folder, without a configuration: held against its own first root")
      ->type_name("DIR");
  store->add_option("-o,--output", options.format, "text or json")
      ->check(CLI::IsMember({"text", "json"}));
  store->fallthrough();
  options.verify = store->add_subcommand(
      "verify", "read everything again: signatures, file lists, contents, the file itself");
  options.stats = store->add_subcommand("stats", "what is stored, and what it costs");
}

// `config` is null with only --data-dir.
int run_store(const StoreOptions& options, const notp::client::ClientConfig* config) {
  notp::client::StoreCommandOptions command;
  command.as_json = options.format == "json";
  if (config) {
    command.data_dir = config->data_dir;
    command.trust_domain = config->agent.trust_domain;
    command.root = config->root;
  }
  if (!options.data_dir.empty()) command.data_dir = options.data_dir;
  // Damage is reported as findings.
  notp::log::configure(notp::log::Level::kError, notp::log::Format::kText);
  const auto answer = options.verify->parsed() ? notp::client::verify_store(command)
                                               : notp::client::describe_store(command);
  if (!answer) return failed(answer.error());
  std::fputs(answer->text.c_str(), stdout);
  return answer->exit;
}

struct DecisionsOptions {
  std::string folder, format = "text";
  std::string tree;
  CLI::App *all = nullptr, *verify = nullptr, *stats = nullptr, *accept_tree = nullptr;
};

void add_decisions(CLI::App& app, DecisionsOptions& options) {
  CLI::App* decisions = options.all =
      app.add_subcommand("decisions", "look at the recorded decisions of a stopped agent");
  decisions->require_subcommand(1);
  decisions
      ->add_option("--folder", options.folder,
                   "the spool's folder, without a configuration: as decisions.folder in it")
      ->type_name("DIR");
  decisions->add_option("-o,--output", options.format, "text or json")
      ->check(CLI::IsMember({"text", "json"}));
  decisions->fallthrough();
  options.verify = decisions->add_subcommand(
      "verify",
      "read every record again; exits with 0: all whole, 1: damaged, 3: records are missing");
  options.stats = decisions->add_subcommand("stats", "what is kept, and what it costs");
  options.accept_tree = decisions->add_subcommand(
      "accept-tree",
      "go on with a tree of the registry that this node has refused: after a look at why");
  options.accept_tree->add_option("tree", options.tree, "its id, as stats shows it")
      ->type_name("TEXT")
      ->required();
}

// `config` is null with only --folder.
int run_decisions(const DecisionsOptions& options, const notp::client::ClientConfig* config) {
  notp::client::DecisionCommandOptions command;
  command.as_json = options.format == "json";
  if (config) command.folder = config->decisions.folder;
  if (!options.folder.empty()) command.folder = options.folder;
  // Damage is reported as findings.
  notp::log::configure(notp::log::Level::kError, notp::log::Format::kText);
  const auto answer = options.verify->parsed() ? notp::client::verify_decisions(command)
                      : options.accept_tree->parsed()
                          ? notp::client::accept_tree(command, options.tree)
                          : notp::client::describe_decisions(command);
  if (!answer) return failed(answer.error());
  std::fputs(answer->text.c_str(), stdout);
  return answer->exit;
}

struct TokenCommand {
  notp::client::TokenCommandOptions options;
  std::string out, tokens;
  bool remove = false;
  CLI::App* command = nullptr;
};

void add_token(CLI::App& app, TokenCommand& command) {
  CLI::App* token = command.command =
      app.add_subcommand("token", "make a token for who asks for decisions, or withdraw it");
  token->add_option("name", command.options.name, "whose it is; names its entry under peps")
      ->type_name("NAME")
      ->required();
  token->add_option("--out", command.out, "file that gets the token, mode 0600")->type_name("FILE");
  token
      ->add_option("--tokens", command.tokens,
                   "file of hashes; without it api_token of the configuration")
      ->type_name("FILE");
  token->add_flag("--remove", command.remove, "withdraw all tokens of the name instead");
}

// `config` is null with only --tokens.
int run_token(TokenCommand& command, const notp::client::ClientConfig* config) {
  if (command.out.empty() == !command.remove)
    return failed({notp::ErrorCode::kUsage, "write either --out FILE or --remove", {}});
  command.options.out = command.out;
  command.options.tokens = !command.tokens.empty() ? command.tokens
                           : config                ? config->api.api_token.string()
                                                   : std::string();
  if (command.options.tokens.empty())
    return failed({notp::ErrorCode::kUsage,
                   "the configuration has no api_token: write --tokens FILE, and name that file as "
                   "api_token",
                   {}});
  const auto text = command.remove ? notp::client::remove_pep_tokens(command.options)
                                   : notp::client::make_pep_token(command.options);
  if (!text) return failed(text.error());
  std::fputs(text->c_str(), stdout);
  return notp::exit_code::kOk;
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  notp::return_large_blocks();
  std::string config_file, format = "text";
  bool check = false, check_config = false, reset_clock = false;
  CLI::App app("The NOTP agent: keeps the local policy decision point at the registry's releases.");
  app.set_version_flag("--version", "notp-client " NOTP_VERSION);
  notp::add_command_tree_flag(app);
  app.add_option("-c,--config", config_file, "configuration file (YAML)")
      ->type_name("FILE")
      ->envname("NOTP_CLIENT_CONFIG");
  app.add_flag("--check", check,
               "check the configuration and the files that it names, say all "
               "that a start or a peer would refuse, and exit");
  app.add_option("-o,--output", format, "what --check prints: text or json")
      ->check(CLI::IsMember({"text", "json"}));
  app.add_flag("--check-config", check_config,
               "check the configuration file alone and exit, as on another machine");
  app.add_flag("--reset-clock", reset_clock,
               "forget the latest time that this node has seen and exit: for a stopped agent whose "
               "clock was once far ahead, and is right now");
  app.fallthrough();  // inherited by the subcommands added below
  CLI::App* opa_config =
      app.add_subcommand("opa-config", "print the configuration for an OPA beside this agent");
  notp::client::EnrollCommand enroll;
  notp::client::add_enroll(app, enroll);
  StoreOptions store_options;
  add_store(app, store_options);
  DecisionsOptions decisions_options;
  add_decisions(app, decisions_options);
  TokenCommand token_command;
  add_token(app, token_command);
  try {
    app.parse(argc, argv);
    if (!enroll.command->parsed() && config_file.empty() && store_options.data_dir.empty() &&
        decisions_options.folder.empty() && token_command.tokens.empty())
      throw CLI::RequiredError(store_options.all->parsed()       ? "--config or --data-dir"
                               : decisions_options.all->parsed() ? "--config or --folder"
                                                                 : "--config");
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error);
    return code == 0 ? notp::exit_code::kOk : notp::exit_code::kUsage;
  }
  notp::Environment environment = notp::process_environment();
  if (enroll.command->parsed()) {
    const auto joined = notp::client::run_enroll(enroll, environment);
    if (!joined) return failed(joined.error());
    if (!enroll.run) return notp::exit_code::kOk;
    config_file = *joined;
  }
  if (store_options.all->parsed() && config_file.empty())
    return run_store(store_options, /*config=*/nullptr);
  if (decisions_options.all->parsed() && config_file.empty())
    return run_decisions(decisions_options, /*config=*/nullptr);
  if (token_command.command->parsed() && config_file.empty())
    return run_token(token_command, /*config=*/nullptr);
  environment.erase("NOTP_CLIENT_CONFIG");  // names the file; not a property of the configuration
  const auto load = [&] { return notp::client::ClientConfig::load(config_file, environment); };
  const auto config = load();
  if (!config) return failed(config.error());
  if (store_options.all->parsed()) return run_store(store_options, &*config);
  if (decisions_options.all->parsed()) return run_decisions(decisions_options, &*config);
  if (token_command.command->parsed()) return run_token(token_command, &*config);
  if (opa_config->parsed()) {
    const auto text = notp::client::opa_config_of(*config);
    if (!text) return failed(text.error());
    std::fputs(text->c_str(), stdout);
    return notp::exit_code::kOk;
  }
  if (check_config) {
    std::puts("the configuration file is valid");
    return notp::exit_code::kOk;
  }
  if (check) {
    const notp::SetupReport report = notp::client::check_setup(*config, notp::read_clock().wall_ms);
    if (format == "json") {
      std::puts(notp::json::serialize(notp::client::setup_document(*config, report)).c_str());
    } else {
      std::fputs(report.text().c_str(), report.errors() == 0 ? stdout : stderr);
      std::printf("registry: %s, %s\n", config->host.registry.c_str(),
                  config->host.route.text().c_str());
    }
    return report.errors() == 0 ? notp::exit_code::kOk : notp::exit_code::kUsage;
  }
  if (reset_clock) {
    const auto text = notp::client::reset_clock(*config);
    if (!text) return failed(text.error());
    std::fputs(text->c_str(), stdout);
    return notp::exit_code::kOk;
  }
  // Sockets first: the other opens a descriptor, which a wrong $LISTEN_FDS could count.
  auto sockets = notp::systemd::PassedSockets::take_from_environment();
  auto notifier = notp::systemd::Notifier::take_from_environment();
  if (!sockets) return failed(sockets.error());
  // Inputs of decisions and the node's keys are in its memory.
  if (auto disabled = notp::disable_core_dumps(); !disabled) return failed(disabled.error());
  notp::log::configure(config->log.level, config->log.format);
  if (auto ended =
          notp::client::run_client(*config, load, std::move(notifier), *std::move(sockets));
      !ended)
    return failed(ended.error());
  return notp::exit_code::kOk;
}
