#include "tools/notp/setup/setup_plan.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <iostream>

#include "common/limits.hpp"
#include "common/storage/files.hpp"
#include "protocol/transport/endpoint.hpp"
#include "tools/notp/confirm.hpp"

namespace notp::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPlanFile = "setup.json";
constexpr size_t kPlanBytesMax = 64 << 10;
constexpr std::string_view kDefaultZone = "100000000001";
constexpr std::string_view kDefaultLedger = "access";
constexpr std::string_view kRegistryPart = "registry";
// How the registry runs, in the plan's file.
constexpr std::string_view kService = "service", kProgram = "program";

std::unexpected<Error> refuse(std::string message, std::string hint) {
  return std::unexpected(
      Error{ErrorCode::kUsage, std::move(message), {}}.with("hint", std::move(hint)));
}

// --- asking

// Asks only at a terminal, and only when allowed.
class Asker {
 public:
  Asker(const Context& context, bool yes)
      : may_ask_(!yes && !context.output.is_json() && stdin_is_terminal()) {}

  bool may_ask() const { return may_ask_; }
  // The flag's text, else the answer, else the default. An empty default means that there is none:
  // nullopt without a terminal.
  Result<std::string> text(const std::optional<std::string>& given, std::string_view question,
                           std::string_view fallback) const {
    if (given) return *given;
    if (!may_ask_) return std::string(fallback);
    fmt::print(stderr, "{}{}: ", question,
               fallback.empty() ? std::string() : fmt::format(" [{}]", fallback));
    std::fflush(stderr);
    std::string answer;
    if (!std::getline(std::cin, answer)) return fail(ErrorCode::kCancelled, "nothing was done");
    const size_t first = answer.find_first_not_of(" \t");
    if (first == answer.npos) return std::string(fallback);
    return answer.substr(first, answer.find_last_not_of(" \t\r") - first + 1);
  }

 private:
  const bool may_ask_;
};

std::string host_name() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0) return {};
  return name.data();
}

// --- checking

// A host without a port, IPv6 in brackets.
Result<std::string> checked_host(std::string_view flag, std::string host) {
  if (host.find(':') != host.npos && !host.starts_with('[') &&
      host.find(':') != host.rfind(':'))  // an IPv6 address without brackets
    host = "[" + host + "]";
  const auto whole = HostPort::parse(host + ":1");
  const bool has_port = HostPort::parse(host).has_value();
  if (host.empty() || has_port || !whole ||
      host.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                             "._-[]:") != host.npos)
    return refuse(fmt::format("{} '{}' is no host", flag, printable(host)),
                  "a name or an IP address without a port, as in registry.example.org; ports are "
                  "--port and --enroll-port");
  return host;
}

// The same checks as in the registry: a name may resolve to many addresses.
Result<std::string> checked_listen(const std::string& text) {
  NOTP_ASSIGN(std::string host, checked_host("--listen", text));
  if (host.starts_with('[') || host.find_first_not_of("0123456789.") == host.npos) return host;
  return refuse(fmt::format("--listen '{}' is no numeric address", host),
                "an IP address of this machine, or 0.0.0.0 or [::] for all of them");
}

Result<void> check_reachable(const std::string& host) {
  const auto at = HostPort::parse(host + ":1");
  if (at && !at->is_wildcard()) return {};
  return refuse(
      fmt::format("--address '{}' is every address of a machine, and none of another one", host),
      "give the name or address under which nodes reach this machine; --listen says "
      "where the registry listens");
}

Result<void> check_name(std::string_view flag, const SetupPlan& plan, session::Role role) {
  const session::Identity identity = plan.identity(role);
  if (session::Identity::parse(identity.text())) return {};
  return refuse(fmt::format("{} '{}' is no name", flag, printable(identity.name)),
                fmt::format("1 to {} letters, digits, '.', '_' and '-'", limits::kNameBytesMax));
}

Result<model::LedgerId> checked_ledger(const std::optional<std::string>& zone,
                                       const std::string& ledger) {
  const size_t slash = ledger.find('/');
  if (slash != ledger.npos && zone && ledger.substr(0, slash) != *zone)
    return refuse(fmt::format("--zone {} and --ledger {} name two zones", printable(*zone),
                              printable(ledger)),
                  "a zone is set up with a ledger of it");
  if (slash != ledger.npos) return model::LedgerId::parse(ledger);
  return model::LedgerId::parse(
      fmt::format("{}/{}", zone.value_or(std::string(kDefaultZone)), ledger));
}

Result<void> check_ports(const SetupPlan& plan) {
  if (plan.ports.sessions != plan.ports.enroll && plan.ports.sessions != plan.ports.health &&
      plan.ports.enroll != plan.ports.health)
    return {};
  return refuse(fmt::format("the ports {}, {} and {} must differ", plan.ports.sessions,
                            plan.ports.enroll, plan.ports.health),
                "--port is for sessions, --enroll-port for joining, --health-port for probes");
}

// --- an existing plan

std::string text_in(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

// 0: absent or invalid.
uint16_t port_in(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  const int64_t port = value != nullptr && value->is_int64() ? value->get_int64() : 0;
  return port >= 1 && port <= UINT16_MAX ? static_cast<uint16_t>(port) : 0;
}

Result<SetupPlan> read_plan(const fs::path& folder) {
  const fs::path file = folder / kPlanFile;
  NOTP_ASSIGN(const Bytes text, read_file(file, kPlanBytesMax));
  const auto parsed = parse_json(text);
  if (!parsed || !parsed->is_object())
    return refuse(fmt::format("{} is not what 'notp setup' wrote", file.string()),
                  "choose another --dir");
  const json::object& object = parsed->get_object();
  SetupPlan plan{.folder = folder,
                 .trust_domain = text_in(object, "trust_domain"),
                 .address = text_in(object, "address"),
                 .listen = text_in(object, "listen"),
                 .ports = {.sessions = port_in(object, "port"),
                           .enroll = port_in(object, "enroll_port"),
                           .health = port_in(object, "health_port")},
                 .ledger = {},
                 .node = text_in(object, "node"),
                 .publisher = text_in(object, "publisher"),
                 .admin = text_in(object, "admin"),
                 .registry_name = text_in(object, "registry"),
                 .own_ca = text_in(object, "ca") == "own",
                 .service = {},
                 .is_complete = text_in(object, "state") == "complete",
                 .tokens = {}};
  NOTP_ASSIGN(plan.ledger, model::LedgerId::parse(text_in(object, "ledger")));
  if (const json::value* tokens = object.if_contains("tokens"); tokens && tokens->is_object())
    plan.tokens = tokens->get_object();
  if (text_in(object, "runs_as") == kService) {
    NOTP_ASSIGN(plan.service, systemd::ServiceUser::find(systemd::registry_service()));
  }
  NOTP_TRY(model::check_trust_domain(plan.trust_domain));
  NOTP_TRY(checked_host(file.string(), plan.address));
  NOTP_TRY(checked_listen(plan.listen));
  if (plan.ports.sessions == 0 || plan.ports.enroll == 0 || plan.ports.health == 0)
    return refuse(fmt::format("{} lacks a port", file.string()), "restore the file");
  NOTP_TRY(check_ports(plan));
  for (const session::Role role : {session::Role::kNode, session::Role::kPublisher,
                                   session::Role::kAdmin, session::Role::kRegistry})
    NOTP_TRY(check_name(file.string(), plan, role));
  return plan;
}

Result<void> same(const SetupPlan& plan, std::string_view flag, const std::string& given,
                  const std::string& there) {
  if (given == there) return {};
  return std::unexpected(Error{
      ErrorCode::kConflict,
      fmt::format("{} '{}': {} was set up with '{}'", flag, printable(given), plan.folder.string(),
                  there),
      {}}.with("hint",
               "leave the flag out to go on there, or give another --dir; what is set up is "
               "changed in its configuration files"));
}

// A flag may repeat an earlier value, not change it. Another node is added.
Result<SetupPlan> go_on(const Context& context, const SetupOptions& options, SetupPlan plan) {
  if (!context.flags.trust_domain.empty())
    NOTP_TRY(same(plan, "--trust-domain", context.flags.trust_domain, plan.trust_domain));
  if (options.address) {
    NOTP_ASSIGN(const std::string host, checked_host("--address", *options.address));
    NOTP_TRY(same(plan, "--address", host, plan.address));
  }
  if (options.listen) {
    NOTP_ASSIGN(const std::string host, checked_listen(*options.listen));
    NOTP_TRY(same(plan, "--listen", host, plan.listen));
  }
  if (options.zone) NOTP_TRY(same(plan, "--zone", *options.zone, plan.zone()));
  if (options.ledger) {
    NOTP_ASSIGN(const model::LedgerId ledger, checked_ledger(plan.zone(), *options.ledger));
    NOTP_TRY(same(plan, "--ledger", ledger.text(), plan.ledger.text()));
  }
  if (options.publisher) NOTP_TRY(same(plan, "--publisher", *options.publisher, plan.publisher));
  if (options.admin) NOTP_TRY(same(plan, "--admin", *options.admin, plan.admin));
  if (options.registry_name)
    NOTP_TRY(same(plan, "--registry-name", *options.registry_name, plan.registry_name));
  for (const auto& [flag, given, there] :
       {std::tuple{"--port", options.port, plan.ports.sessions},
        std::tuple{"--enroll-port", options.enroll_port, plan.ports.enroll},
        std::tuple{"--health-port", options.health_port, plan.ports.health}})
    if (given) NOTP_TRY(same(plan, flag, std::to_string(*given), std::to_string(there)));
  if (options.own_ca && !plan.own_ca)
    NOTP_TRY(same(plan, "--own-ca", "own", "a development authority"));
  if (options.development_ca && plan.own_ca)
    NOTP_TRY(same(plan, "--development-ca", "development", "your own authority"));
  if (options.service && !plan.service)
    NOTP_TRY(same(plan, "--service", "service", "a registry that runs in a terminal"));
  if (options.node) plan.node = *options.node;
  NOTP_TRY(check_name("--node", plan, session::Role::kNode));
  return plan;
}

// --- a new plan

Result<std::string> ask_domain(const Context& context, const Asker& asker) {
  const std::string& flag = context.flags.trust_domain;
  NOTP_ASSIGN(const std::string domain,
              asker.text(flag.empty() ? std::nullopt : std::optional(flag),
                         "Trust domain, as in core-platform.internal", {}));
  if (domain.empty())
    return refuse("no trust domain is given",
                  "give --trust-domain, as in core-platform.internal: the name of what all keys "
                  "and nodes belong to; it never changes");
  NOTP_TRY(model::check_trust_domain(domain));
  return domain;
}

Result<std::string> ask_address(const SetupOptions& options, const Asker& asker) {
  NOTP_ASSIGN(const std::string host,
              asker.text(options.address, "Host under which nodes reach this registry",
                         asker.may_ask() ? host_name() : std::string()));
  if (host.empty())
    return refuse("no address of the registry is given",
                  "give --address HOST: the name or IP address of this machine as the nodes reach "
                  "it");
  NOTP_ASSIGN(const std::string checked, checked_host("--address", host));
  NOTP_TRY(check_reachable(checked));
  return checked;
}

Result<void> ask_names(const SetupOptions& options, const Asker& asker, SetupPlan& plan) {
  const std::string zone = options.zone.value_or(std::string(kDefaultZone));
  NOTP_ASSIGN(
      const std::string ledger,
      asker.text(options.ledger, fmt::format("First ledger, in zone {}", zone), kDefaultLedger));
  NOTP_ASSIGN(plan.ledger, checked_ledger(options.zone, ledger));
  NOTP_ASSIGN(plan.publisher,
              asker.text(options.publisher, "Name of the publisher", plan.publisher));
  NOTP_TRY(check_name("--publisher", plan, session::Role::kPublisher));
  NOTP_ASSIGN(plan.node, asker.text(options.node, "Name of the first node", plan.node));
  NOTP_TRY(check_name("--node", plan, session::Role::kNode));
  plan.admin = options.admin.value_or(plan.admin);
  NOTP_TRY(check_name("--admin", plan, session::Role::kAdmin));
  plan.registry_name = options.registry_name.value_or(plan.registry_name);
  return check_name("--registry-name", plan, session::Role::kRegistry);
}

Result<bool> ask_authority(const SetupOptions& options, const Asker& asker) {
  if (options.own_ca || options.development_ca || !asker.may_ask()) return options.own_ca;
  NOTP_ASSIGN(const std::string answer,
              asker.text(std::nullopt,
                         "Certificates: 'development' makes an authority here, 'own' makes "
                         "requests for an authority that you have",
                         "development"));
  if (answer == "own") return true;
  if (answer == "development") return false;
  return refuse(fmt::format("'{}' is neither 'development' nor 'own'", printable(answer)),
                "answer again, or give --development-ca or --own-ca");
}

Result<void> check_empty(const fs::path& folder) {
  std::error_code error;
  const auto status = fs::status(folder, error);
  if (status.type() == fs::file_type::not_found) return {};
  if (status.type() == fs::file_type::directory && fs::is_empty(folder, error) && !error) return {};
  return refuse(
      error ? fmt::format("cannot look into {}: {}", folder.string(), error.message())
            : fmt::format("{} is not empty, and no 'notp setup' has been there", folder.string()),
      "nothing was written; give --dir with a folder that is empty or not there");
}

// A registry that is there stays as it is; and what the service does not need is out of its reach.
Result<void> make_service(SetupPlan& plan) {
  const systemd::Service& service = systemd::registry_service();
  NOTP_ASSIGN(plan.service, systemd::ServiceUser::find(service));
  NOTP_TRY(systemd::is_configured(service, plan.file(kRegistryFile)));
  NOTP_TRY(check_empty(service.folder));
  if (*plan.folder.lexically_relative(service.folder).begin() == "..") return {};
  return refuse(fmt::format("--dir {} is in the folder of the service, whose user must not have "
                            "the keys in it",
                            plan.folder.string()),
                fmt::format("give another one: the registry's part is put into {} anyway",
                            service.folder.string()));
}

// The plan as lines for the user to confirm.
std::string text_of(const SetupPlan& plan) {
  return facts({{"trust domain", plan.trust_domain},
                {"folder", plan.folder.string()},
                {"zone, ledger", fmt::format("{}, {}", plan.zone(), plan.ledger.name)},
                {"registry", fmt::format("{} at {}, listening on {}", plan.registry_name,
                                         plan.registry_address(), plan.listen)},
                {"nodes join at", plan.enroll_address()},
                {"health, metrics", fmt::format("127.0.0.1:{}", plan.ports.health)},
                {"publisher", plan.publisher},
                {"administrator", plan.admin},
                {"first node", plan.node},
                {"runs as", plan.service ? fmt::format("the service {}, with its files in {}",
                                                       systemd::registry_service().unit,
                                                       plan.file(kRegistryPart).string())
                                         : "a program in a terminal"},
                {"certificates", plan.own_ca ? "by your own authority (requests are made here)"
                                             : "by a development authority that is made here"}});
}

Result<SetupPlan> new_plan(const SetupOptions& options, const Asker& asker,
                           std::string trust_domain, fs::path folder) {
  SetupPlan plan;
  plan.trust_domain = std::move(trust_domain);
  plan.folder = std::move(folder);
  if (options.service) NOTP_TRY(make_service(plan));
  NOTP_ASSIGN(plan.address, ask_address(options, asker));
  NOTP_ASSIGN(
      plan.listen,
      checked_listen(options.listen.value_or(plan.address.starts_with('[') ? "[::]" : "0.0.0.0")));
  plan.ports.sessions = options.port.value_or(plan.ports.sessions);
  plan.ports.enroll = options.enroll_port.value_or(plan.ports.enroll);
  plan.ports.health = options.health_port.value_or(plan.ports.health);
  NOTP_TRY(check_ports(plan));
  NOTP_TRY(ask_names(options, asker, plan));
  NOTP_ASSIGN(plan.own_ca, ask_authority(options, asker));
  if (asker.may_ask()) {
    fmt::print(stderr, "\n{}", text_of(plan));
    NOTP_TRY(confirm(Output({}), "Make it?"));
  }
  return plan;
}

}  // namespace

fs::path SetupPlan::file(std::string_view name) const {
  if (!service || name.substr(0, name.find('/')) != kRegistryPart) return folder / name;
  const std::string_view rest = name.substr(std::min(name.size(), kRegistryPart.size() + 1));
  const fs::path& root = systemd::registry_service().folder;
  return rest.empty() ? root : root / rest;
}

std::string SetupPlan::registry_address() const {
  return fmt::format("{}:{}", address, ports.sessions);
}

std::string SetupPlan::enroll_address() const {
  return fmt::format("{}:{}", address, ports.enroll);
}

session::Identity SetupPlan::identity(session::Role role) const {
  switch (role) {
    case session::Role::kNode:
      return {trust_domain, role, node};
    case session::Role::kPublisher:
      return {trust_domain, role, publisher};
    case session::Role::kAdmin:
      return {trust_domain, role, admin};
    case session::Role::kSource:  // a setup makes none
    case session::Role::kRegistry:
      break;
  }
  return {trust_domain, session::Role::kRegistry, registry_name};
}

Result<SetupPlan> make_setup_plan(const Context& context, const SetupOptions& options) {
  if (options.own_ca && options.development_ca)
    return refuse("--own-ca and --development-ca exclude each other", "give one of them");
  const Asker asker(context, options.yes);
  std::string domain;
  // The folder is named after the domain by default.
  if (!options.folder) {
    NOTP_ASSIGN(domain, ask_domain(context, asker));
  }
  std::error_code error;
  fs::path folder = fs::absolute(options.folder.value_or(domain), error).lexically_normal();
  if (error || folder.empty()) return refuse("--dir is no folder", "give the name of a folder");
  if (!folder.has_filename()) folder = folder.parent_path();
  if (fs::exists(folder / kPlanFile, error)) {
    NOTP_ASSIGN(SetupPlan plan, read_plan(folder));
    return go_on(context, options, std::move(plan));
  }
  NOTP_TRY(check_empty(folder));
  if (options.folder) {
    NOTP_ASSIGN(domain, ask_domain(context, asker));
  }
  return new_plan(options, asker, std::move(domain), std::move(folder));
}

Result<void> keep_setup_plan(const SetupPlan& plan) {
  const json::object object{{"trust_domain", plan.trust_domain},
                            {"address", plan.address},
                            {"listen", plan.listen},
                            {"port", plan.ports.sessions},
                            {"enroll_port", plan.ports.enroll},
                            {"health_port", plan.ports.health},
                            {"ledger", plan.ledger.text()},
                            {"node", plan.node},
                            {"publisher", plan.publisher},
                            {"admin", plan.admin},
                            {"registry", plan.registry_name},
                            {"ca", plan.own_ca ? "own" : "development"},
                            {"runs_as", plan.service ? kService : kProgram},
                            {"state", plan.is_complete ? "complete" : "begun"},
                            {"tokens", plan.tokens}};
  return write_file(plan.file(kPlanFile), pretty_json(object) + "\n");
}

}  // namespace notp::cli
