// Questions of one registry's session about what its peer holds and the registry lacks, and the
// answers. protocol/session/README.md, "Recovery".
#pragma once

#include <cstdint>
#include <map>
#include <optional>

#include "protocol/session/server/incoming_upload.hpp"
#include "protocol/session/server/server_context.hpp"

namespace notp::session {

// Takes only what was asked for, and hands it to the host unverified. Memory: at most one artifact,
// in the space of uploads. One thread.
class ServerHoldings {
 public:
  // `context` outlives this.
  explicit ServerHoldings(ServerContext& context) : context_(context) {}

  // kLimit after kHeldRequestsMax questions about the ledger: the peer would end the session.
  Result<void> ask_held(const wire::HeldRequest& request);
  // kConflict while a return is open.
  Result<void> ask_return(const wire::ReturnRequest& request, Now now);

  // kState for a ledger that was not asked about, or more answers than questions; kLimit above
  // kHeldBytesMax.
  Result<void> on_message(wire::Held&& held, Now now);
  // kState for an answer that was not asked for, a second one, or another base than was asked for.
  // An artifact for which there is no space is received and dropped: the session continues.
  Result<void> on_message(wire::Return&& answer, Now now);
  // kState past the artifact's end. Only for a stream that receives() names.
  Result<void> on_message(const wire::Chunk& chunk, Now now);
  // Whether chunks of this stream are a returned artifact.
  bool receives(uint32_t stream) const {
    return open_ && open_->artifact && open_->head.stream == stream;
  }
  // Releases the space of a partly received artifact. The session has ended.
  void drop_artifact() { open_.reset(); }

  // Boot time by which an answer, or more of its artifact, is due; kNever: none is.
  TimeMs next_deadline() const;
  void on_deadline(Now now);

 private:
  struct Questions {
    size_t asked = 0;       // in this session
    size_t unanswered = 0;  // of these
  };
  struct OpenReturn {
    wire::ReturnRequest request;
    TimeMs answer_due_ms = kNever;           // boot time; kNever: the host has its answer
    std::optional<IncomingUpload> artifact;  // set once the answer announces it
    wire::Return head = {};                  // of the answer
  };

  // The artifact is not kept any longer: the host gets this error instead.
  void give_up(const Error& error);
  void report(wire::Return head, std::unique_ptr<Upload> artifact);

  ServerContext& context_;
  std::map<model::LedgerId, Questions> questions_;
  std::optional<OpenReturn> open_;
};

}  // namespace notp::session
