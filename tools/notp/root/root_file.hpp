// A root statement as a file that its key holders pass on: reads it, prints it, compares it with
// the previous root, and counts signatures.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "protocol/trust/verify.hpp"
#include "tools/notp/output.hpp"

namespace notp::cli {

struct RootFile {
  std::filesystem::path path;
  Bytes bytes;
  trust::Envelope envelope;
  trust::Root root;

  // Signed by its own threshold: no longer a draft, unless signatures by the previous root's keys
  // are still missing.
  bool is_signed() const;
};
// Reads a well-formed root statement with any signatures. The error names the file. kNotFound, kIo,
// kEnvelope, kStatement.
Result<RootFile> read_root_file(const std::filesystem::path& path);
// The same, signed by its own threshold. kSignature, kRootInvalid.
Result<RootFile> read_signed_root(const std::filesystem::path& path);

// One difference between two roots. Added: no `before`; removed: no `after`.
struct RootChange {
  std::string subject;  // "root key", "epoch", "publisher 100000000000/*" …
  std::string before, after;
};
std::vector<RootChange> compare_root_statements(const trust::Root& before,
                                                const trust::Root& after);

// The signatures of one list of keys.
struct SignerCount {
  std::vector<std::string> signed_by;  // keyids
  std::vector<std::string> missing;
  uint32_t threshold = 0;

  size_t needed() const { return signed_by.size() < threshold ? threshold - signed_by.size() : 0; }
};
struct RootSigners {
  SignerCount own;
  std::optional<SignerCount> previous;  // by the previous root's keys; nullopt: not given
  std::vector<std::string> others;      // key ids of signatures that neither root can check

  bool complete() const { return own.needed() == 0 && (!previous || previous->needed() == 0); }
};
// kSignature when a signature names a known key but does not verify.
Result<RootSigners> root_signers(const trust::Envelope& envelope, const trust::Root& root,
                                 const trust::Root* previous);

// Checks that `next` can follow `previous`, apart from signatures. kWrongTarget, kRollback,
// kRootInvalid.
Result<void> check_root_step(const trust::Root& next, const trust::Root& previous);

// Returns all that a signer must read, line by line: the statement, the differences from `previous`
// (null: not given), and which signatures are present and missing.
std::string root_text(const Output& output, const trust::Root& root, const RootSigners& signers,
                      const trust::Root* previous, TimeMs now_ms);
std::string root_changes_text(const Output& output, const std::vector<RootChange>& changes);
json::object root_json(const trust::Root& root, const RootSigners& signers,
                       const trust::Root* previous, TimeMs now_ms);

}  // namespace notp::cli
