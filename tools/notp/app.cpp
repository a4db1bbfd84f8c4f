#include "tools/notp/app.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cstring>

#include "common/command_tree.hpp"

namespace notp::cli {
namespace {

constexpr const char* kDescription =
    "Publishes, inspects and rolls back Auth* models (policies, data and keys) in a NOTP registry.";

constexpr const char* kFooter = R"(
Configuration: YAML files with registry, trust_domain, root, ledger, signing_key,
tls: {certificate, key, ca}, proxy and proxy_password_file. Flags come before variables,
variables before files, and of the files, in this order, each fills what those before it
left open: --config or NOTP_CONFIG; .notp/config.yaml in the workspace or the nearest
parent; $XDG_CONFIG_HOME/notp/config.yaml (~/.config); /etc/notp/config.yaml. Relative
paths in a file start at its folder. 'notp config' shows what is set, and where.

Proxy: HTTPS_PROXY and NO_PROXY (or in lower case, which comes first) lead to the registry
through an HTTP proxy by CONNECT, but never to localhost; 'proxy: none' or --proxy none
goes directly.

Output: results on standard output; notes, progress and errors on standard error. With
-o json the result is one JSON document on standard output, and an error is one JSON
object on standard error: {"error": {"code", "message", "hint", "context"}}.

Exit codes:
  0  done                                     5  identity or rights
  1  a failure with no code of its own        6  no answer from the registry
  2  the command line or configuration        7  a signature, hash or version rule is broken
  3  the model is not valid                   8  no such ledger, release, node or file
  4  the head moved: look, then try again     9  it waits for more signatures
                                             10  changes (plan --detailed-exitcode,
                                                 diff --exit-code))";

// An error in the command line itself must already be printed in the requested format.
bool asks_for_json(int argc, const char* const* argv, const Environment& environment) {
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument == "-ojson" || argument == "--output=json") return true;
    if ((argument == "-o" || argument == "--output") && i + 1 < argc)
      return std::string_view(argv[i + 1]) == "json";
  }
  const auto variable = environment.find("NOTP_OUTPUT");
  return variable != environment.end() && variable->second == "json";
}

Output::Options output_options(bool as_json, bool no_colour, const Environment& environment) {
  const auto variable = environment.find("NO_COLOR");
  const bool forbidden = no_colour || (variable != environment.end() && !variable->second.empty());
  const auto terminal = environment.find("TERM");
  const bool dumb = terminal != environment.end() && terminal->second == "dumb";
  return {.format = as_json ? Format::kJson : Format::kText,
          .colour = !as_json && !forbidden && !dumb && ::isatty(STDOUT_FILENO) == 1,
          .progress = !as_json && !dumb && ::isatty(STDERR_FILENO) == 1};
}

// The command that the line selects, as a user types it: "notp root init".
std::string command_text(const CLI::App& tree) {
  std::string text = "notp";
  const CLI::App* at = &tree;
  while (!at->get_subcommands().empty()) {
    at = at->get_subcommands().front();
    text += " " + at->get_name();
  }
  return text;
}

// For an unknown word CLI11 reports a missing command first; reports the word instead.
std::string usage_message(const CLI::App& tree, const CLI::ParseError& error) {
  const CLI::App* at = &tree;
  while (!at->get_subcommands().empty()) at = at->get_subcommands().front();
  const bool has_commands = !at->get_subcommands([](const CLI::App*) { return true; }).empty();
  const std::vector<std::string> rest = tree.remaining(true);
  if (has_commands && error.get_name() == "RequiredError" && !rest.empty())
    return fmt::format("unknown command or option '{}' of '{}'", printable(rest.front()),
                       command_text(tree));
  if (has_commands && error.get_name() == "RequiredError") return "a command is missing";
  return error.what();
}

int usage_error(const Output& output, const CLI::App& tree, const CLI::ParseError& error) {
  std::string message = usage_message(tree, error);
  if (const size_t end = message.find_last_not_of(" \n."); end != std::string::npos)
    message.resize(end + 1);
  output.error(Error{ErrorCode::kUsage, std::move(message), {}}.with(
      "hint", fmt::format("see '{} --help'", command_text(tree))));
  return exit_code::kUsage;
}

struct NoOptions {};

Result<int> run_version(const Context& context, const NoOptions&) {
  context.output.result("notp " NOTP_VERSION "\n",
                        json::object{{"name", "notp"}, {"version", NOTP_VERSION}});
  return exit_code::kOk;
}

void add_global_flags(CLI::App& tree, Flags& flags) {
  const std::string group = "Global options";
  tree.add_option("-o,--output", flags.output, "How results are printed")
      ->check(CLI::IsMember({"text", "json"}))
      ->envname("NOTP_OUTPUT")
      ->capture_default_str()
      ->group(group);
  tree.add_option("--config", flags.config, "Configuration file that comes before all others")
      ->envname("NOTP_CONFIG")
      ->type_name("FILE")
      ->group(group);
  tree.add_option("--registry", flags.registry, "Address of the registry")
      ->envname("NOTP_REGISTRY")
      ->type_name("HOST:PORT")
      ->group(group);
  tree.add_option("--registry-identity", flags.registry_identity,
                  "Whom the registry's certificate must name: registry/main, or a SPIFFE id")
      ->envname("NOTP_REGISTRY_IDENTITY")
      ->type_name("ID")
      ->group(group);
  tree.add_option("--cert", flags.certificate, "Own certificate chain, PEM")
      ->envname("NOTP_CERT")
      ->type_name("FILE")
      ->group(group);
  tree.add_option("--key", flags.key, "Private key of the certificate, PEM")
      ->envname("NOTP_KEY")
      ->type_name("FILE")
      ->group(group);
  tree.add_option("--ca", flags.ca, "Authorities that the registry must chain to, PEM")
      ->envname("NOTP_CA")
      ->type_name("FILE")
      ->group(group);
  tree.add_option("--trust-domain", flags.trust_domain, "Trust domain (default: the root's)")
      ->envname("NOTP_TRUST_DOMAIN")
      ->type_name("DOMAIN")
      ->group(group);
  tree.add_option("--root", flags.root, "Pinned root statement that releases are checked against")
      ->envname("NOTP_ROOT")
      ->type_name("FILE")
      ->group(group);
  tree.add_option("--proxy", flags.proxy, "HTTP proxy on the way to the registry, or none")
      ->envname("NOTP_PROXY")
      ->type_name("URL")
      ->group(group);
  tree.add_flag("--no-color", flags.no_colour, "No colours (also NO_COLOR)")->group(group);
}

}  // namespace

Result<std::string> new_trust_domain(const Context& context) {
  const std::string& domain = context.flags.trust_domain;
  if (domain.empty())
    return std::unexpected(Error{ErrorCode::kUsage, "no trust domain is given", {}}.with(
        "hint", "give --trust-domain, as in core-platform.internal"));
  NOTP_TRY(model::check_trust_domain(domain));
  return domain;
}

App::App() : tree_(kDescription, "notp"), commands_(tree_) {
  tree_.fallthrough();
  tree_.require_subcommand(1);
  tree_.set_help_flag("-h,--help", "Print this help");
  tree_.set_version_flag("--version", "notp " NOTP_VERSION);
  tree_.get_formatter()->column_width(36);
  add_command_tree_flag(tree_);
  add_global_flags(tree_, flags_);
  tree_.footer("See 'notp --help' for the global options and exit codes.");
  add_init(commands_);
  add_validate(commands_);
  add_plan(commands_);
  add_publish(commands_);
  add_clone(commands_);
  add_history(commands_);
  add_show(commands_);
  add_diff(commands_);
  add_rollback(commands_);
  add_pending(commands_);
  add_sign(commands_);
  add_withdraw(commands_);
  add_verify(commands_);
  add_decisions(commands_);
  add_witness(commands_);
  add_mirror(commands_);
  add_ledgers(commands_);
  add_nodes(commands_);
  add_node(commands_);
  add_registry(commands_);
  add_sources(commands_);
  add_tokens(commands_);
  add_txn(commands_);
  add_keygen(commands_);
  add_root(commands_);
  add_pki(commands_);
  add_config(commands_);
  add_doctor(commands_);
  add_top(commands_);
  add_capacity(commands_);
  add_setup(commands_);
  add_completion(commands_);
  commands_.add<NoOptions>(
      tree_, "version", "Print the version", [](CLI::App&, NoOptions&) {}, run_version);
  tree_.footer(kFooter);
}

int run(int argc, const char* const* argv, const Environment& environment) {
  App app;
  const Output early(
      output_options(asks_for_json(argc, argv, environment), /*no_colour=*/true, environment));
  try {
    app.tree().parse(argc, argv);
  } catch (const CLI::Success& success) {  // --help, --version
    return app.tree().exit(success);
  } catch (const CLI::ParseError& error) {
    return usage_error(early, app.tree(), error);
  }
  const Output output(
      output_options(app.flags().output == "json", app.flags().no_colour, environment));
  const Context context{app.flags(), environment, output, read_clock()};
  const Result<int> outcome = app.commands().action()(context);
  if (outcome) return *outcome;
  output.error(outcome.error());
  return error_traits(outcome.error().code).exit;
}

}  // namespace notp::cli
