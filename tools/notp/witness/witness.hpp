// A witness of registries' trees: C2SP tlog-witness. It cosigns a checkpoint that is consistent
// with all that it has cosigned of that tree before, so that a registry that would show two people
// two trees needs its help.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/crypto/signature.hpp"
#include "common/mutex.hpp"
#include "protocol/record/checkpoint.hpp"
#include "protocol/record/tlog_proof.hpp"

namespace notp::cli {

inline constexpr size_t kWitnessLogsMax = 1'024;

// What is answered, as HTTP has it.
struct WitnessAnswer {
  unsigned status = 0;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
};

// Thread-safe. Blocks for the disk: a checkpoint is durable before its cosignature goes out.
class Witness {
 public:
  // Told, while a request is answered, what a person should know: a tree that contradicts itself.
  using Report = std::function<void(const std::string& what)>;

  // `folder` keeps the newest checkpoint of each tree, one file each; one process uses it. `logs`:
  // the trees that are witnessed, by the key that signs each; names are their origins. kConfig: too
  // many, or one twice; kIo, kCorrupt: what a file keeps is not a checkpoint of its tree.
  static Result<std::unique_ptr<Witness>> open(const std::filesystem::path& folder,
                                               std::string name, PrivateKey key,
                                               const std::vector<record::NamedKey>& logs,
                                               Report report);

  WitnessAnswer add_checkpoint(std::string_view body, int64_t now_s);

 private:
  struct Log {
    PublicKey key;
    std::filesystem::path file;
    uint64_t size = 0;  // of the newest checkpoint that was cosigned; 0: none was
    Hash root;
  };
  Witness(std::string name, PrivateKey key, Report report)
      : name_(std::move(name)), key_(std::move(key)), report_(std::move(report)) {}
  static Result<void> load(Log& log, const std::string& origin);
  Result<WitnessAnswer> decide(const record::AddCheckpoint& request, int64_t now_s)
      NOTP_REQUIRES(mutex_);

  const std::string name_;
  const PrivateKey key_;
  const Report report_;
  Mutex mutex_;
  std::map<std::string, Log> logs_ NOTP_GUARDED_BY(mutex_);  // by origin
};

}  // namespace notp::cli
