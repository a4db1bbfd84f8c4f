// notp registry tree: the tree of what the registry has taken, and the key that signs it.
#include <fmt/format.h>

#include "protocol/record/announcement.hpp"
#include "protocol/record/checkpoint.hpp"
#include "tools/notp/audit/proof_port.hpp"
#include "tools/notp/query/query_session.hpp"
#include "tools/notp/registry/registry_commands.hpp"

namespace notp::cli {
namespace {

struct TreeOptions {};

Result<int> run_tree(const Context& context, const TreeOptions&) {
  NOTP_ASSIGN(const Settings settings, context.settings());
  NOTP_ASSIGN(const QuerySession session, open_query_session(context, settings));
  // Beyond any size: the checkpoint alone.
  NOTP_ASSIGN(const wire::TreePart part,
              session.client->ask(wire::TreeRequest{limits::kPositionMax}));
  NOTP_ASSIGN(const record::Announcement announced, record::verify_announcement(part.announcement));
  NOTP_ASSIGN(const record::Checkpoint checkpoint,
              record::verify_checkpoint(part.checkpoint, announced.log_key));
  const std::string key =
      record::named_key_text({checkpoint.origin, announced.log_key, /*cosigns=*/false});
  std::vector<std::string> signers = record::signer_names(part.checkpoint);
  std::erase(signers, checkpoint.origin);
  json::array cosigners;
  std::string text = facts({{"key", key},
                            {"leaves", human_count(checkpoint.size)},
                            {"root", checkpoint.root.hex()},
                            {"cosigners", fmt::to_string(signers.size())}});
  for (const std::string& name : signers) {
    cosigners.push_back(json::string(name));
    text += fmt::format("    {}\n", printable(name));
  }
  context.output.result(text, json::object{{"key", key},
                                           {"origin", checkpoint.origin},
                                           {"size", checkpoint.size},
                                           {"root", checkpoint.root.hex()},
                                           {"cosigners", std::move(cosigners)},
                                           {"checkpoint", part.checkpoint}});
  return exit_code::kOk;
}

}  // namespace

void add_registry_tree(Commands& commands, CLI::App& registry) {
  commands.add<TreeOptions>(
      registry, "tree", "Show the tree of what the registry has taken, and the key that signs it",
      [](CLI::App& command, TreeOptions&) {
        command.footer(
            "The key is what 'notp witness serve --log' takes. The tree has a leaf for each\n"
            "checkpoint of a node's log that was taken, and for each deletion, hold, erasure,\n"
            "fault and reader; 'notp decisions verify' recomputes it.");
      },
      run_tree);
}

}  // namespace notp::cli
