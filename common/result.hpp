// Result<T>, Error and the table of error codes, with the meaning of each to a retry loop, to a
// peer and to a shell. An expected failure is a Result; a bug is an assertion (common/assert.hpp).
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace notp {

// The reaction of the side that meets the error, with regard to the session.
enum class ErrorAction : uint8_t {
  kRetry,     // try again later, with backoff
  kDropPeer,  // close this session; the peer broke a rule
  kStop,      // do not retry without a change by a person
};

// Process exit codes of every program. Stable: scripts depend on them.
namespace exit_code {
inline constexpr int kOk = 0;
inline constexpr int kFailure = 1;      // a failure without a specific code, I/O included
inline constexpr int kUsage = 2;        // the command line or the configuration is wrong
inline constexpr int kInvalid = 3;      // the model is not valid
inline constexpr int kConflict = 4;     // the head moved: pull, check, publish again
inline constexpr int kDenied = 5;       // identity or rights
inline constexpr int kUnreachable = 6;  // no answer from the registry
inline constexpr int kUntrusted = 7;    // a signature, hash or version rule is broken
inline constexpr int kNotFound = 8;     // no such ledger, release or node
inline constexpr int kPending = 9;      // published, but it waits for more signatures
inline constexpr int kChanges = 10;  // plan, diff: there are changes, and the caller asked for this
}  // namespace exit_code

// name, wire number (stable, in the Error message), action, exit code
#define NOTP_ERROR_TABLE(X)                                                    \
  X(kInternal, 1, kRetry, kFailure)        /* our own failure */               \
  X(kUnavailable, 2, kRetry, kUnreachable) /* no connection */                 \
  X(kTimeout, 3, kRetry, kUnreachable)                                         \
  X(kOverloaded, 4, kRetry, kUnreachable) /* retry_after set */                \
  X(kCancelled, 5, kRetry, kFailure)                                           \
  X(kIo, 6, kRetry, kFailure)                                                  \
  X(kCorrupt, 7, kRetry, kFailure) /* damaged own store */                     \
  X(kUsage, 8, kStop, kUsage)                                                  \
  X(kConfig, 9, kStop, kUsage)                                                 \
  X(kNotFound, 10, kStop, kNotFound)                                           \
  X(kConflict, 11, kStop, kConflict) /* head moved */                          \
  X(kInvalidModel, 12, kStop, kInvalid)                                        \
  X(kDenied, 13, kStop, kDenied)          /* right missing */                  \
  X(kLimit, 14, kDropPeer, kFailure)      /* a named limit */                  \
  X(kFrame, 20, kDropPeer, kFailure)      /* bad frame header */               \
  X(kMessage, 21, kDropPeer, kFailure)    /* undecodable */                    \
  X(kState, 22, kDropPeer, kFailure)      /* wrong state */                    \
  X(kVersion, 23, kStop, kFailure)        /* no common version */              \
  X(kArtifact, 24, kDropPeer, kUntrusted) /* undecodable delta */              \
  X(kTls, 30, kRetry, kDenied)            /* handshake failed */               \
  X(kNoCertificate, 31, kStop, kDenied)                                        \
  X(kCertificateExpired, 32, kStop, kDenied)                                   \
  X(kCertificateUntrusted, 33, kStop, kDenied)                                 \
  X(kIdentity, 34, kStop, kDenied)        /* not one SPIFFE id */              \
  X(kRevoked, 35, kStop, kDenied)         /* on the deny list */               \
  X(kJoinRefused, 36, kStop, kDenied)     /* join token is invalid */          \
  X(kEnvelope, 40, kStop, kUntrusted)     /* malformed */                      \
  X(kSignature, 41, kStop, kUntrusted)    /* below threshold */                \
  X(kStatement, 42, kStop, kUntrusted)    /* malformed payload */              \
  X(kWrongTarget, 43, kStop, kUntrusted)  /* domain/zone/name */               \
  X(kRollback, 44, kStop, kUntrusted)     /* below the floor */                \
  X(kEquivocation, 45, kStop, kUntrusted) /* same version, two */              \
  X(kContentRoot, 46, kRetry, kUntrusted) /* recomputed differs */             \
  X(kExpired, 47, kStop, kUntrusted)                                           \
  X(kRootInvalid, 48, kStop, kUntrusted)                                       \
  X(kReplay, 49, kStop, kUntrusted)    /* freshness not above */               \
  X(kPdpRejected, 50, kStop, kInvalid) /* PDP refused it */                    \
  X(kRootsOverlap, 51, kStop, kInvalid)                                        \
  X(kVanished, 52, kStop, kUntrusted)        /* freshness lacks it */          \
  X(kClock, 53, kRetry, kUntrusted)          /* a statement from the future */ \
  X(kQuarantined, 54, kRetry, kFailure)      /* a path that took too much */   \
  X(kAuditUnavailable, 55, kRetry, kFailure) /* cannot be recorded */          \
  X(kLogFork, 56, kStop, kUntrusted)         /* two records at one place */    \
  X(kLogGap, 57, kStop, kUntrusted)          /* records are missing */         \
  X(kGateHeld, 58, kStop, kFailure)          /* decisions would change */      \
  X(kRegistrySplit, 59, kStop, kUntrusted)   /* its tree contradicts itself */

enum class ErrorCode : uint16_t {
#define NOTP_ERROR_ENUM(name, wire, action, exit) name = wire,
  NOTP_ERROR_TABLE(NOTP_ERROR_ENUM)
#undef NOTP_ERROR_ENUM
};

struct ErrorTraits {
  std::string_view name;  // snake case, stable, for logs and -o json
  ErrorAction action;
  int exit;
};

// Every code has traits; an unknown number (from a newer peer) has those of kInternal.
const ErrorTraits& error_traits(ErrorCode code);
// Returns the code for a wire number, kInternal for one that this build does not know.
ErrorCode error_code_from_wire(uint32_t wire);

struct [[nodiscard]] Error {
  ErrorCode code = ErrorCode::kInternal;
  std::string message;  // for a person: what happened, to what, and the remedy
  std::vector<std::pair<std::string, std::string>> context;  // ledger, path, node …

  // Returns the same error with one more fact, for logs.
  Error with(std::string key, std::string value) && {
    context.emplace_back(std::move(key), std::move(value));
    return std::move(*this);
  }
  // Returns the same error with a prefix: "while reading X: …".
  Error in(std::string_view where) && {
    message.insert(0, ": ").insert(0, where);
    return std::move(*this);
  }
};

template <typename T = void>
using Result = std::expected<T, Error>;

[[nodiscard]] inline std::unexpected<Error> fail(ErrorCode code, std::string message) {
  return std::unexpected(Error{code, std::move(message), {}});
}

}  // namespace notp

// Evaluates a Result expression; returns its error from the enclosing function.
#define NOTP_TRY(expression)                                  \
  do {                                                        \
    if (auto notp_result = (expression); !notp_result)        \
      return std::unexpected(std::move(notp_result).error()); \
  } while (false)

#define NOTP_CONCAT_(a, b) a##b
#define NOTP_CONCAT(a, b) NOTP_CONCAT_(a, b)
// NOTP_ASSIGN(auto value, expression): declares value from a Result, or returns its error.
#define NOTP_ASSIGN(declaration, expression) \
  NOTP_ASSIGN_(NOTP_CONCAT(notp_result_, __LINE__), declaration, expression)
#define NOTP_ASSIGN_(result, declaration, expression)             \
  auto result = (expression);                                     \
  if (!result) return std::unexpected(std::move(result).error()); \
  declaration = *std::move(result)
