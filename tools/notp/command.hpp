// Declares the commands of the CLI: each adds itself to the program's tree and, when the command
// line names it, leaves an action to run.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <memory>

#include "tools/notp/output.hpp"
#include "tools/notp/settings.hpp"

namespace notp::cli {

// The arguments of every action.
struct Context {
  const Flags& flags;
  const Environment& environment;
  const Output& output;
  Now now;

  // The settings for a command that works in `folder`.
  Result<Settings> settings(const std::filesystem::path& folder = ".") const {
    return load_settings(flags, environment, folder);
  }
};

// The trust domain for something that the command is about to make: the user must give it, no
// default is derived. kUsage.
Result<std::string> new_trust_domain(const Context& context);

// Returns a process exit code (common/result.hpp).
using Action = std::function<Result<int>(const Context&)>;

class Commands {
 public:
  explicit Commands(CLI::App& root) : root_(root) {}

  CLI::App& root() { return root_; }
  // `Options` is a struct that the options are bound to; it lives as long as the tree.
  template <typename Options, typename Declare>
  CLI::App* add(CLI::App& parent, const std::string& name, const std::string& description,
                Declare declare, Result<int> (*run)(const Context&, const Options&)) {
    auto options = std::make_shared<Options>();
    CLI::App* command = parent.add_subcommand(name, description);
    declare(*command, *options);
    command->callback([this, command, options, run] {
      // A command with subcommands leaves the action to them.
      if (!command->get_subcommands().empty()) return;
      action_ = [options, run](const Context& context) { return run(context, *options); };
    });
    return command;
  }
  // The action that the parsed command line asks for; empty when it names no command.
  const Action& action() const { return action_; }

 private:
  CLI::App& root_;
  Action action_;
};

void add_init(Commands& commands);
void add_keygen(Commands& commands);
void add_root(Commands& commands);
void add_pki(Commands& commands);
void add_setup(Commands& commands);
void add_validate(Commands& commands);
void add_plan(Commands& commands);
void add_publish(Commands& commands);
void add_rollback(Commands& commands);
void add_clone(Commands& commands);
void add_show(Commands& commands);
void add_diff(Commands& commands);
void add_history(Commands& commands);
void add_ledgers(Commands& commands);
void add_nodes(Commands& commands);
void add_node(Commands& commands);
void add_registry(Commands& commands);
void add_sources(Commands& commands);
void add_tokens(Commands& commands);
void add_txn(Commands& commands);
void add_pending(Commands& commands);
void add_sign(Commands& commands);
void add_withdraw(Commands& commands);
void add_verify(Commands& commands);
void add_decisions(Commands& commands);
void add_witness(Commands& commands);
void add_mirror(Commands& commands);
void add_config(Commands& commands);
void add_doctor(Commands& commands);
void add_top(Commands& commands);
void add_capacity(Commands& commands);
void add_completion(Commands& commands);

}  // namespace notp::cli
