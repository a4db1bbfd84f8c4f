#include "tools/notp/audit/proof_check.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "common/limits.hpp"
#include "protocol/record/announcement.hpp"
#include "protocol/record/tlog_proof.hpp"
#include "protocol/record/tree.hpp"
#include "protocol/record/tree_entry.hpp"
#include "tools/notp/audit/times.hpp"

namespace notp::cli {
namespace {

// A record that leads to a checkpoint of the registry's tree.
struct Proven {
  record::Record record;
  std::string note;  // of the registry's tree
};

class Check {
 public:
  Check(const DecisionProof& proof, const ProofAnchors& anchors, ProofReport& out)
      : proof_(proof), anchors_(anchors), out_(out) {}

  Result<void> run() {
    NOTP_TRY(check_announcements());
    NOTP_ASSIGN(const Proven decision, check_record(proof_.decision, "decision"));
    if (decision.record.kind() != record::Kind::kDecision)
      return refuse("decision.record", ErrorCode::kMessage, "the record is not one of a decision");
    out_.decision = decision.record;
    NOTP_TRY(check_cosignatures(decision.note));
    NOTP_TRY(check_active());
    return check_releases();
  }

 private:
  Result<void> pass(std::string_view check, std::string detail) {
    out_.steps.push_back({check, std::move(detail), true});
    return {};
  }
  std::unexpected<Error> refuse(std::string_view check, Error why) {
    out_.steps.push_back({check, why.message, false});
    return std::unexpected(std::move(why));
  }
  std::unexpected<Error> refuse(std::string_view check, ErrorCode code, std::string why) {
    return refuse(check, Error{code, std::move(why), {}});
  }

  Result<record::Announcement> read_announcement(std::string_view check,
                                                 const Bytes& announcement) {
    auto read = record::verify_announcement(announcement);
    if (!read) return refuse(check, std::move(read).error());
    if (anchors_.authorities != nullptr)
      if (auto issued = anchors_.authorities->check(announcement); !issued)
        return refuse(check, std::move(issued).error());
    static_cast<void>(
        pass(check, fmt::format("key {} of {}{}", read->log_key.keyid(), read->node,
                                anchors_.authorities ? ", certificate by a given authority" : "")));
    return read;
  }

  Result<void> check_announcements() {
    NOTP_ASSIGN(log_, read_announcement("log.announcement", proof_.log_announcement));
    NOTP_ASSIGN(tree_, read_announcement("tree.announcement", proof_.tree_announcement));
    if (tree_.trust_domain != log_.trust_domain)
      return refuse("tree.announcement", ErrorCode::kIdentity,
                    fmt::format("the registry's tree is of {}, and the node's log of {}",
                                tree_.trust_domain, log_.trust_domain));
    out_.node = log_.node;
    out_.log = record::LogId::of(log_.log_key);
    if (anchors_.authorities == nullptr)
      out_.unchecked.emplace_back(
          "that these keys are those of the node and of the registry is the proof's word; "
          "--node-ca "
          "FILE checks their certificates");
    return {};
  }

  // A note of the log or tree that an announcement has made known.
  Result<record::Checkpoint> read_note(std::string_view check, const std::string& note,
                                       const record::Announcement& of) {
    auto checkpoint = record::verify_checkpoint(note, of.log_key);
    if (!checkpoint) return refuse(check, std::move(checkpoint).error());
    const std::string origin = record::log_origin(of.node, record::LogId::of(of.log_key));
    if (checkpoint->origin != origin)
      return refuse(
          check, ErrorCode::kSignature,
          fmt::format("the checkpoint is of {}, not of {}", printable(checkpoint->origin), origin));
    return checkpoint;
  }

  Result<record::Record> check_in_log(const ProvenRecord& proven, record::Checkpoint& checkpoint) {
    auto in_log = record::parse_tlog_proof(proven.in_log);
    if (!in_log) return refuse("log.inclusion", std::move(in_log).error());
    NOTP_ASSIGN(checkpoint, read_note("log.checkpoint", in_log->checkpoint, log_));
    const Hash leaf = record::leaf_hash(proven.salt, proven.record);
    if (proven.salt.size() != record::kSaltBytes ||
        !record::verify_inclusion(leaf, in_log->index, checkpoint.size, in_log->inclusion,
                                  checkpoint.root))
      return refuse("log.inclusion", ErrorCode::kLogFork,
                    fmt::format("the record is not record {} of the log that the node signed at "
                                "{}: it was changed, or is of another place",
                                in_log->index, checkpoint.size));
    auto read = record::decode(proven.record);
    if (!read) return refuse("log.record", std::move(read).error());
    if (read->place.position != in_log->index)
      return refuse("log.record", ErrorCode::kLogFork,
                    fmt::format("the record says that it is record {}, and stands at {}",
                                read->place.position, in_log->index));
    static_cast<void>(pass("log.inclusion", fmt::format("record {} of {} that the node signed",
                                                        in_log->index, checkpoint.size)));
    return read;
  }

  Result<Proven> check_record(const ProvenRecord& proven, std::string_view what) {
    record::Checkpoint in_log;
    NOTP_ASSIGN(record::Record read, check_in_log(proven, in_log));
    auto entry = record::decode_tree_entry(proven.entry);
    if (!entry) return refuse("tree.entry", std::move(entry).error());
    if (entry->kind != record::TreeEntryKind::kCheckpoint || entry->log != out_.log ||
        entry->size != in_log.size || entry->root != in_log.root)
      return refuse("tree.entry", ErrorCode::kRegistrySplit,
                    "the leaf of the registry's tree is not the checkpoint that the node signed");
    auto in_tree = record::parse_tlog_proof(proven.in_tree);
    if (!in_tree) return refuse("tree.inclusion", std::move(in_tree).error());
    NOTP_ASSIGN(const record::Checkpoint tree,
                read_note("tree.checkpoint", in_tree->checkpoint, tree_));
    if (!record::verify_inclusion(record::tree_leaf(proven.entry), in_tree->index, tree.size,
                                  in_tree->inclusion, tree.root))
      return refuse("tree.inclusion", ErrorCode::kRegistrySplit,
                    fmt::format("leaf {} of the registry's tree of {} is another one",
                                in_tree->index, tree.size));
    static_cast<void>(
        pass("tree.inclusion", fmt::format("the {}'s checkpoint is leaf {} of {}, taken {}", what,
                                           in_tree->index, tree.size, utc_time(entry->time_ms))));
    return Proven{std::move(read), in_tree->checkpoint};
  }

  // Nodes whose announcement is in the proof, and the reader's own witnesses.
  Result<void> check_cosignatures(const std::string& note) {
    const std::vector<std::string> names = record::signer_names(note);
    const auto has_signed = [&](const std::string& name) {
      return std::ranges::find(names, name) != names.end();
    };
    for (const wire::Cosigner& each : proof_.cosigners) {
      const auto announced = record::verify_announcement(each.announcement);
      if (!announced || announced->trust_domain != log_.trust_domain) continue;
      if (anchors_.authorities != nullptr && !anchors_.authorities->check(each.announcement))
        continue;
      const std::string name =
          record::log_origin(announced->node, record::LogId::of(announced->log_key));
      if (!has_signed(name)) continue;
      auto at = record::cosigned_at(note, name, announced->log_key);
      if (!at) return refuse("tree.cosignature", std::move(at).error());
      ++out_.cosigned;
      static_cast<void>(pass("tree.cosignature", fmt::format("by the node {}, {}", announced->node,
                                                             utc_time(*at * 1'000))));
    }
    for (const record::NamedKey& witness : anchors_.witnesses) {
      auto at = record::cosigned_at(note, witness.name, witness.key);
      if (!at) return refuse("tree.witness", std::move(at).error());
      ++out_.cosigned;
      static_cast<void>(pass("tree.witness", fmt::format("by the witness {}, {}", witness.name,
                                                         utc_time(*at * 1'000))));
    }
    if (out_.cosigned == 0)
      out_.unchecked.emplace_back(
          "the registry's checkpoint has no cosignature that could be checked: that it showed "
          "everyone the same tree is its word");
    return {};
  }

  Result<void> check_active() {
    const record::Record& decision = *out_.decision;
    if (!proof_.active) {
      out_.unchecked.emplace_back("which release decided: the proof has no ACTIVE record");
      return {};
    }
    NOTP_ASSIGN(Proven active, check_record(*proof_.active, "active set"));
    auto* const set = std::get_if<record::ActiveSet>(&active.record.content);
    if (set == nullptr || active.record.place.position != decision.place.active)
      return refuse("active.record", ErrorCode::kMessage,
                    fmt::format("the decision refers to record {}, and the proof has record {}",
                                decision.place.active, active.record.place.position));
    out_.active = std::move(*set);
    return pass("active.record", fmt::format("record {}, to which the decision refers",
                                             active.record.place.position));
  }

  // Under the root that was in force when it was issued.
  Result<void> check_signatures(const ProvenRelease& proven, const model::LedgerId& ledger,
                                TimeMs issued_ms) {
    std::optional<Error> last;
    for (const RootPtr& root : anchors_.roots->all()) {
      trust::Trusted trusted;
      trusted.root = root;
      trust::Update update;
      update.release = proven.envelope;
      update.release_ledger = ledger;
      trust::Verdict verdict = trust::verify_update(update, trusted, issued_ms, nullptr);
      if (!verdict.error)
        return pass("release.signatures", fmt::format("{} v{}, under root {}", proven.ledger,
                                                      proven.version, root->version));
      last = std::move(verdict.error);
    }
    return refuse("release.signatures", *std::move(last));
  }

  Result<void> check_releases() {
    if (!out_.active) return {};
    for (const ProvenRelease& proven : proof_.releases) {
      const auto ledger = model::LedgerId::parse(proven.ledger);
      const auto envelope = trust::Envelope::decode(proven.envelope);
      const auto release = envelope ? trust::Release::decode(envelope->payload)
                                    : Result<trust::Release>(std::unexpected(envelope.error()));
      if (!ledger || !release)
        return refuse("release.envelope", ErrorCode::kEnvelope,
                      fmt::format("the release of {} does not decode", printable(proven.ledger)));
      const Hash hash = trust::release_hash(envelope->payload);
      const auto active = std::ranges::find(out_.active->releases, *ledger,
                                            [](const auto& each) { return each.ref.ledger; });
      if (active == out_.active->releases.end() || active->ref.release_hash != hash)
        return refuse(
            "release.hash", ErrorCode::kEquivocation,
            fmt::format("the statement of {} v{} is not the release {} that was active",
                        proven.ledger, proven.version,
                        active == out_.active->releases.end() ? std::string("none")
                                                              : active->ref.release_hash.brief()));
      static_cast<void>(pass("release.hash", fmt::format("{} v{} is {}", proven.ledger,
                                                         release->version, hash.brief())));
      if (anchors_.roots != nullptr)
        NOTP_TRY(check_signatures(proven, *ledger, release->issued_ms));
    }
    const size_t left_out = out_.active->releases.size() -
                            std::min(out_.active->releases.size(), proof_.releases.size());
    if (left_out > 0)
      out_.unchecked.push_back(
          fmt::format("{} of the active releases have no statement in the proof", left_out));
    if (anchors_.roots == nullptr && !proof_.releases.empty())
      out_.unchecked.emplace_back(
          "who published the releases: --root FILE, the trust domain's first root, checks it");
    return {};
  }

  const DecisionProof& proof_;
  const ProofAnchors& anchors_;
  ProofReport& out_;
  record::Announcement log_, tree_;
};

}  // namespace

ProofReport check_proof(const DecisionProof& proof, const ProofAnchors& anchors) {
  ProofReport out;
  if (auto checked = Check(proof, anchors, out).run(); !checked)
    out.error = std::move(checked).error();
  return out;
}

}  // namespace notp::cli
