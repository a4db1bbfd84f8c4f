// A whole installation for end-to-end tests: an authority, keys, a root, one registry, agents and
// OPAs as real processes on loopback, operated through the admin CLI.
#pragma once

#include <atomic>
#include <map>
#include <memory>

#include "common/json/json.hpp"
#include "tests/support/process/process.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tools/pki/pki.hpp"

namespace notp {

inline constexpr std::string_view kStackDomain = "core-platform.internal";
inline const std::string kPayments = "100000000000/payments";
inline const std::string kGateway = "100000000000/api-gateway";
inline const std::string kDenyList = "100000000000/denied";

// The value at a path of names, as in at(node, "error.code"); null when there is none.
const json::value& at(const json::value& value, std::string_view path);
std::string text_at(const json::value& value, std::string_view path);
int64_t number_at(const json::value& value, std::string_view path);

// The lines of a log that are JSON objects.
std::vector<json::value> log_lines(const std::filesystem::path& file);

// POST /v1/data/<path> to an agent or an OPA: the result, nullopt when it is undefined. Throws
// unless the answer has status 200.
std::optional<json::value> ask_data(const std::string& url, const std::string& path,
                                    const json::value& input);

// The result of a CLI call.
struct CliResult {
  int status = -1;
  std::string output, error;
  json::value document;  // of standard output, or of standard error when it failed

  std::string error_code() const { return text_at(document, "error.code"); }
  std::string error_message() const { return text_at(document, "error.message"); }
};

struct AgentSetup {
  std::string name;
  std::vector<std::string> ledgers;
  std::string pdp = "embedded";
  int opa_port = 0;                              // of its OPA, with pdp "opa"
  std::string registry_identity = "registry/*";  // pattern of accepted registries
  std::string registry;                          // the address it connects to; empty: the stack's
  std::string certificate;                       // stem of the PEM files; empty: a new valid one
  std::filesystem::path config;  // an existing one, except for the address; empty: none
  json::object more;             // further properties of its configuration
  std::vector<std::pair<std::string, std::string>> environment = {};  // of its process
};

// Sets the amount in cents that one person may send alone, in the example model "payments".
void set_single_approval_max(const std::filesystem::path& payments, int64_t cents);

class Stack;

// One agent with a store that survives its process.
class Agent {
 public:
  Agent(Stack& stack, AgentSetup setup);

  // Starts it and waits until it answers on loopback.
  void start();
  void kill();
  // Sends SIGTERM; returns the exit status.
  int stop();
  bool is_running() const { return process_ && process_->is_running(); }

  pid_t pid() const { return process_->pid(); }  // must be started
  const std::string& name() const { return setup_.name; }
  std::string identity() const;
  std::string url() const;
  // GET /v1/status; null when the agent does not answer.
  json::value status() const;
  // The row of a ledger in it; null when there is none.
  json::value ledger_status(const std::string& ledger) const;
  std::optional<json::value> decide(const std::string& path, const json::value& input) const {
    return ask_data(url(), path, input);
  }
  // The agent reports that its PDP decides with this version of the ledger.
  bool has_active(const std::string& ledger, int64_t version) const;
  std::filesystem::path config_file() const;
  std::filesystem::path log_file() const;
  // Subscribes to these from its next start.
  void use_ledgers(std::vector<std::string> ledgers);
  // Writes its configuration with these properties added, sends SIGHUP, and waits until the agent
  // logs `event` once more.
  void reconfigure(json::object more, std::string_view event = "configuration_reloaded");
  // Counts the log lines with this event, and this code when one is given.
  size_t count_events(std::string_view event, std::string_view code = {}) const;

 private:
  void write_config();

  Stack& stack_;
  AgentSetup setup_;
  std::string certificate_;  // stem
  const int port_;
  std::unique_ptr<Process> process_;
};

// An OPA beside an agent, with the configuration printed by the agent.
class Opa {
 public:
  Opa(Stack& stack, int port) : stack_(stack), port_(port) {}

  // NOTP_OPA names the program; waits until it answers.
  void start(const Agent& agent);
  void kill() { process_.reset(); }
  std::optional<json::value> decide(const std::string& path, const json::value& input) const {
    return ask_data(url(), path, input);
  }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
  int port() const { return port_; }

 private:
  Stack& stack_;
  const int port_;
  std::unique_ptr<Process> process_;
};

// The first of n keys is NAME.key and NAME.pub in the stack's folder, the others NAME-2, NAME-3, ….
struct StackOptions {
  int root_keys = 1;             // "root-key"; more than half of them must sign
  int publishers = 1;            // "publisher"; all of them must sign a release
  int freshness_interval_s = 0;  // 0: the registry's default
};

class Stack {
 public:
  // Makes the authority, the root with a freshness key ("freshness") and the certificates of the
  // publishers alice and bob and of the administrator eve. Starts nothing.
  explicit Stack(StackOptions options = {});
  // Ends what still runs. What the registry and the agents have logged and the catalogue of events
  // does not know fails the test.
  ~Stack();

  std::filesystem::path folder() const { return folder_.path(); }
  std::filesystem::path file(std::string_view name) const { return folder() / name; }

  // --- identities

  // Issues NAME.crt and NAME.key in the authority's folder; returns their path without ending.
  std::string issue(const std::string& role, const std::string& name);
  // The same with any option changed, under any authority.
  std::string issue(const std::string& stem, const pki::Credential& issuer,
                    const pki::LeafOptions& options);
  pki::LeafOptions leaf(const std::string& role, const std::string& name) const;
  const pki::Credential& authority() const { return authority_; }
  std::filesystem::path authority_file() const { return file("pki/ca.crt"); }
  std::filesystem::path root_file() const { return file("root.envelope"); }

  // --- the registry

  // The rights of each identity; written with the next start or write_registry_config().
  json::array rights;
  // Further properties of its configuration: deny_list, enroll, ….
  json::object registry_more;
  // Variables of its process, from the next start on.
  std::vector<std::pair<std::string, std::string>> registry_environment;
  // Grants another right to everyone with the role, in the next configuration.
  void grant(const std::string& role, std::string_view action);
  // Allows nodes to join with administrators' tokens, in the next configuration.
  void allow_joins();
  void write_registry_config(const std::string& certificate_stem = {});
  void start_registry();
  void kill_registry();
  int stop_registry();
  pid_t registry_pid() const { return registry_->pid(); }  // must be started
  void reload_registry();  // sends SIGHUP, and waits until the files are read
  int registry_port() const { return registry_port_; }
  std::string registry_address() const { return "127.0.0.1:" + std::to_string(registry_port_); }
  std::vector<json::value> registry_log() const { return log_lines(registry_log_file()); }
  // Counts the log lines with this event, and this code when one is given.
  size_t count_events(std::string_view event, std::string_view code = {}) const;
  std::filesystem::path registry_log_file() const { return file("registry.log"); }
  std::filesystem::path repository(const std::string& ledger) const;

  // --- agents

  Agent& start_agent(AgentSetup setup);

  // --- the CLI

  // Runs `notp -o json …` as one of the identities that have a configuration.
  CliResult notp(const std::string& who, std::vector<std::string> arguments);
  Process start_notp(const std::string& who, std::vector<std::string> arguments,
                     const std::string& output_stem);
  // Configures the CLI for `who` with these certificate files, for notp(who, …); each has its own
  // home.
  void configure_cli(const std::string& who, const std::string& certificate_stem,
                     const std::filesystem::path& authority = {},
                     const std::filesystem::path& signing_key = {});
  CliResult publish(const std::filesystem::path& model, const std::string& ledger,
                    const std::string& message = "a change");
  // Publishes, which must succeed, and returns the new version.
  int64_t published(const std::filesystem::path& model, const std::string& ledger);
  // The rows of `notp nodes -o json`.
  json::array nodes();
  // The row of one node; null when there is none.
  json::value node(const Agent& agent);
  // The row of one ledger at one node; null when there is none.
  json::value node_ledger(const Agent& agent, const std::string& ledger);
  // Waits until both the agent and the registry's list report that the agent decides with the
  // version.
  bool becomes_active(const Agent& agent, const std::string& ledger, int64_t version);
  // The registry reports that the node decides with its head of the ledger.
  bool is_at_head(const Agent& agent, const std::string& ledger);

  // --- models

  // Makes a deny list of these identities, and a ledger for it; publish it like any other model.
  std::filesystem::path write_deny_list(const std::vector<std::string>& identities);

  // A copy of an example model, to be changed.
  std::filesystem::path copy_example(const std::string& model);
  void apply_example_change(const std::filesystem::path& model, const std::string& patch);
  json::value example_question(const std::string& name) const;

  std::string program(const std::string& name) const;
  std::filesystem::path source() const;

 private:
  void make_authority_and_root();
  void check_logs() const;
  CliResult run_cli(std::vector<std::string> arguments);

  const StackOptions options_;
  TemporaryFolder folder_;
  pki::Credential authority_;
  const int registry_port_;
  std::unique_ptr<Process> registry_;
  std::vector<std::unique_ptr<Agent>> agents_;
  std::atomic<int> runs_ = 0;
};

}  // namespace notp
