// notp setup: sets up a trust domain in one guided command, from keys to the first join token.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "tools/notp/command.hpp"
#include "tools/notp/init.hpp"
#include "tools/notp/setup/setup_files.hpp"
#include "tools/notp/setup/setup_plan.hpp"

namespace notp::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kDevelopmentOnly =
    "warning: the certificates come from a development authority whose key lies unprotected in "
    "offline/ca.key; for production use --own-ca, or keep that key as you keep the root key";

struct NextCommand {
  std::string where;  // "registry", "publisher", "node", "here"
  std::string command;
};

std::string setup_again(const SetupPlan& plan) {
  return fmt::format("notp setup --dir {}", shell_word(plan.folder.string()));
}

// The commands from here to a decision at the node, in this order.
std::vector<NextCommand> next_commands(const SetupPlan& plan, const SetupOutcome& outcome) {
  if (!outcome.wanted.empty() || outcome.wants_authority) return {{"here", setup_again(plan)}};
  const auto path = [&](const std::string& name) { return shell_word(plan.file(name).string()); };
  std::vector<NextCommand> next;
  if (!outcome.is_running)
    next.push_back({"registry", plan.service ? systemd::command_of(systemd::registry_service())
                                             : fmt::format("notp-server --config {}",
                                                           path(std::string(kRegistryFile)))});
  next.push_back(
      {"publisher", fmt::format("notp --config {} publish {} -m 'First release'",
                                path("publisher/notp.yaml"), path("models/" + plan.ledger.name))});
  if (outcome.token.empty()) {
    next.push_back({"here", fmt::format("notp --config {} node enroll {}", path("admin/notp.yaml"),
                                        plan.node)});
    return next;
  }
  next.push_back(
      {"node", plan.service
                   ? fmt::format("notp-client enroll --service --token {} --ledger {}",
                                 outcome.token, plan.ledger.text())
                   : fmt::format("notp-client enroll --token {} --dir {} --ledger {} --run",
                                 outcome.token, plan.node, plan.ledger.text())});
  next.push_back(
      {"node", fmt::format("curl --json '{}' http://127.0.0.1:8282/v1/data/{}/allow",
                           R"({"input": {"user": {"roles": ["editor"]}, "action": "write"}})",
                           minimal_model_package(plan.ledger))});
  return next;
}

std::vector<std::string> keep_offline(const SetupPlan& plan) {
  std::vector<std::string> keys{plan.file("offline/root.key").string()};
  if (!plan.own_ca) keys.push_back(plan.file("offline/ca.key").string());
  return keys;
}

// --- text output

std::string files_text(const SetupPlan& plan, const SetupOutcome& outcome) {
  const auto line = [](bool made, const std::string& name) {
    return fmt::format("  {}  {}\n", made ? "made     " : "was there", name);
  };
  std::string text;
  for (const SetupFile& file : outcome.files) {
    const fs::path whole = plan.file(file.name);
    text += line(file.made, whole == plan.folder / file.name ? file.name : whole.string());
  }
  if (outcome.configuration_made)
    text += line(*outcome.configuration_made,
                 fmt::format("{} -> {}", systemd::registry_service().configuration.string(),
                             plan.file(kRegistryFile).string()));
  return text;
}

// What became of the service.
std::string service_text(const SetupPlan& plan, const SetupOutcome& outcome) {
  if (!plan.service || !outcome.configuration_made) return {};
  const systemd::Service& service = systemd::registry_service();
  if (outcome.is_running)
    return fmt::format("\n{}.service is enabled and runs as the user {}.\n", service.unit,
                       service.unit);
  return fmt::format("\nNo systemd runs this machine, so that nothing was started.\n");
}

std::string wanted_text(const SetupPlan& plan, const SetupOutcome& outcome) {
  if (outcome.wanted.empty() && !outcome.wants_authority) return {};
  std::string text =
      "\nYour authority must answer these requests before the rest is made. A certificate file\n"
      "holds the leaf and then its intermediates, in PEM:\n";
  for (const WantedCertificate& wanted : outcome.wanted)
    text += fmt::format(
        "  {}\n    -> {}\n       {}\n", plan.file(wanted.request).string(),
        plan.file(wanted.certificate).string(),
        wanted.identity.empty()
            ? std::string("an intermediate CA (CA:TRUE, keyCertSign): it signs for nodes that join")
            : fmt::format("one URI name, {}; extended key usage {}", wanted.identity,
                          wanted.is_server ? "serverAuth" : "clientAuth"));
  if (outcome.wants_authority)
    text += fmt::format("The root certificates that all of them chain to:\n    -> {}\n",
                        plan.file("ca.crt").string());
  return text;
}

std::string next_text(const SetupPlan& plan, const SetupOutcome& outcome) {
  std::string text;
  std::string_view before;
  for (const NextCommand& next : next_commands(plan, outcome)) {
    if (next.where != before) {
      text += next.where == "registry"    ? "\nOn this machine, the registry (leave it running):\n"
              : next.where == "publisher" ? outcome.is_running
                                                ? "\nThen the first release:\n"
                                                : "\nIn another terminal, the first release:\n"
              : next.where == "node"
                  ? plan.service ? "\nOn the node, as root, where notp-client is installed:\n"
                                 : "\nOn the node, where the agent runs:\n"
              : outcome.wanted.empty() && !outcome.wants_authority ? "\nThen a join token:\n"
                                                                   : "\nThen go on with\n";
    }
    // Without a service the agent keeps running in its terminal.
    if (next.where == before)
      text += plan.service ? "\nand there a decision:\n"
                           : "\nand there, in another terminal, a decision:\n";
    text += fmt::format("\n  {}\n", next.command);
    before = next.where;
  }
  return text;
}

std::string setup_text(const SetupPlan& plan, const SetupOutcome& outcome) {
  std::string text = fmt::format("Trust domain {} in {}\n{}", plan.trust_domain,
                                 plan.folder.string(), files_text(plan, outcome));
  text += fmt::format(
      "\nKeep offline, with a copy elsewhere: {}\nNothing of the running system reads {}: take "
      "the folder away from this machine.\n",
      fmt::join(keep_offline(plan), ", "), plan.file("offline").string());
  text += service_text(plan, outcome);
  text += wanted_text(plan, outcome);
  if (!outcome.token_missing.empty())
    text += fmt::format("\nNo join token for {}: {}.\n", plan.node, outcome.token_missing);
  if (!outcome.token.empty())
    text += fmt::format(
        "\nThe join token of {} can be used once, until {}; it is a secret until then.\n",
        plan.node, utc_time(outcome.token_expires_ms));
  return text + next_text(plan, outcome);
}

// --- JSON output

json::object setup_json(const SetupPlan& plan, const SetupOutcome& outcome) {
  json::array files, wanted, next, offline;
  for (const SetupFile& file : outcome.files)
    files.push_back(json::object{{"path", plan.file(file.name).string()}, {"made", file.made}});
  for (const WantedCertificate& one : outcome.wanted)
    wanted.push_back(json::object{
        {"request", plan.file(one.request).string()},
        {"certificate", plan.file(one.certificate).string()},
        {"identity", one.identity.empty() ? json::value(nullptr) : json::value(one.identity)},
        {"is_ca", one.identity.empty()}});
  for (const NextCommand& one : next_commands(plan, outcome))
    next.push_back(json::object{{"where", one.where}, {"command", one.command}});
  for (const std::string& key : keep_offline(plan)) offline.emplace_back(key);
  json::object document{{"trust_domain", plan.trust_domain},
                        {"folder", plan.folder.string()},
                        {"registry", plan.registry_address()},
                        {"ledger", plan.ledger.text()},
                        {"node", plan.node},
                        {"development_only", !plan.own_ca},
                        {"files", std::move(files)},
                        {"keep_offline", std::move(offline)},
                        {"wanted_certificates", std::move(wanted)},
                        {"next", std::move(next)}};
  if (outcome.configuration_made)
    document["service"] =
        json::object{{"unit", systemd::registry_service().unit},
                     {"configuration", systemd::registry_service().configuration.string()},
                     {"made", *outcome.configuration_made},
                     {"running", outcome.is_running}};
  if (outcome.wants_authority) document["wanted_authority"] = plan.file("ca.crt").string();
  if (!outcome.token.empty()) {
    document["token"] = outcome.token;
    document["token_file"] = plan.file(fmt::format("tokens/{}.token", plan.node)).string();
    document["token_expires"] = utc_time(outcome.token_expires_ms);
  }
  if (!outcome.token_missing.empty()) document["token_missing"] = outcome.token_missing;
  return document;
}

// Once everything that the registry needs is there.
Result<void> start_service(const SetupPlan& plan, SetupOutcome& outcome) {
  if (!plan.service || !plan.is_complete) return {};
  const systemd::Service& service = systemd::registry_service();
  NOTP_ASSIGN(outcome.configuration_made, systemd::configure(service, plan.file(kRegistryFile)));
  if (!systemd::is_running()) return {};
  NOTP_TRY(systemd::start(service));
  outcome.is_running = true;
  return {};
}

Result<int> run_setup(const Context& context, const SetupOptions& options) {
  NOTP_ASSIGN(SetupPlan plan, make_setup_plan(context, options));
  if (plan.address == "localhost" || plan.address.starts_with("127.") || plan.address == "[::1]")
    context.output.note(
        fmt::format("warning: only this machine itself reaches a registry at {}", plan.address));
  NOTP_ASSIGN(SetupOutcome outcome, make_setup_files(plan, context.now));
  NOTP_TRY(start_service(plan, outcome));
  if (!plan.own_ca) context.output.note(kDevelopmentOnly);
  context.output.result(setup_text(plan, outcome), setup_json(plan, outcome));
  return exit_code::kOk;
}

void declare_who(CLI::App& command, SetupOptions& options) {
  command.add_option("--publisher", options.publisher, "Who publishes (default: publisher)")
      ->type_name("NAME");
  command.add_option("--admin", options.admin, "Who enrols nodes (default: admin)")
      ->type_name("NAME");
  command.add_option("--registry-name", options.registry_name, "The registry (default: main)")
      ->type_name("NAME");
  command
      .add_option("--node", options.node,
                  "The node that the join token is for (default: edge-1); in a later run another "
                  "one gets its token")
      ->type_name("NAME");
}

void declare_where(CLI::App& command, SetupOptions& options) {
  command.add_option("--dir", options.folder, "Folder to write (default: the trust domain's name)")
      ->type_name("DIR");
  command
      .add_option("--address", options.address,
                  "Name or IP address under which nodes reach this machine, without a port")
      ->type_name("HOST");
  command.add_option("--listen", options.listen, "What the registry listens on (default: 0.0.0.0)")
      ->type_name("ADDRESS");
  const auto port = [&](const char* name, std::optional<uint16_t>& value, const char* text) {
    command.add_option(name, value, text)->check(CLI::Range(1, 65535))->type_name("PORT");
  };
  port("--port", options.port, "For sessions of nodes and of notp (default: 7443)");
  port("--enroll-port", options.enroll_port, "Where nodes join (default: 7444)");
  port("--health-port", options.health_port, "Health and metrics, on loopback (default: 7449)");
}

void declare_setup(CLI::App& command, SetupOptions& options) {
  declare_where(command, options);
  command.add_option("--zone", options.zone, "Zone, a number (default: 100000000001)")
      ->type_name("ZONE");
  command.add_option("--ledger", options.ledger, "First ledger (default: access)")
      ->type_name("NAME");
  declare_who(command, options);
  command.add_flag("--own-ca", options.own_ca,
                   "Make certificate requests for an authority that you have");
  command.add_flag("--development-ca", options.development_ca,
                   "Make an authority here (the default), for development");
  command.add_flag("--service", options.service,
                   "The registry is the packaged service: its files go to /var/lib/notp-server, "
                   "owned by its user, and it is started; as root");
  command.add_flag("-y,--yes", options.yes, "Ask nothing: flags and defaults are the answers");
  command.footer(
      "Makes the keys, the root, the certificates, the configurations of registry, publisher and\n"
      "administrator, a first model and a join token, and prints the commands that follow. Asks\n"
      "at a terminal for what no flag says; --trust-domain and --address have no default. What is\n"
      "there is never overwritten: run it again to go on, or for the token of another --node.\n"
      "With --service, /etc/notp/server.yaml becomes a link to the registry's configuration.");
}

}  // namespace

void add_setup(Commands& commands) {
  commands.add<SetupOptions>(commands.root(), "setup",
                             "Make a trust domain: keys, root, certificates, configurations",
                             declare_setup, run_setup);
}

}  // namespace notp::cli
