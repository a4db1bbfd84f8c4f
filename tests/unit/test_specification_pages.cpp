// What the specification may not leave out: protocol/README.md links to every page, and its tables
// have every limit.
#include <doctest/doctest.h>

#include <map>
#include <string>

#include "common/limits.hpp"
#include "protocol/trust/content_check.hpp"
#include "protocol/trust/statements.hpp"
#include "protocol/wire/lane_limits.hpp"
#include "protocol/wire/log_limits.hpp"
#include "protocol/wire/source_limits.hpp"
#include "tests/support/wire/specification_document.hpp"

using namespace notp;
using namespace notp::samples::specification;

namespace {

// The limits that a peer can meet.
std::map<std::string, uint64_t> protocol_limits() {
#define NOTP_LIMIT(name) {#name, static_cast<uint64_t>(limits::name)}
  return {NOTP_LIMIT(kPathBytesMax),
          NOTP_LIMIT(kPathSegmentBytesMax),
          NOTP_LIMIT(kPathDepthMax),
          NOTP_LIMIT(kModelFilesMax),
          NOTP_LIMIT(kModelBytesMax),
          NOTP_LIMIT(kBlobBytesMax),
          NOTP_LIMIT(kManifestBytesMax),
          NOTP_LIMIT(kRegoFileBytesMax),
          NOTP_LIMIT(kJsonDepthMax),
          NOTP_LIMIT(kYamlBytesMax),
          NOTP_LIMIT(kModelYamlBytesMax),
          NOTP_LIMIT(kRootsMax),
          NOTP_LIMIT(kFindingsMax),
          NOTP_LIMIT(kEnvelopeBytesMax),
          NOTP_LIMIT(kSignaturesMax),
          NOTP_LIMIT(kRootKeysMax),
          NOTP_LIMIT(kDelegationsMax),
          NOTP_LIMIT(kFreshnessKeysMax),
          NOTP_LIMIT(kUsesMax),
          NOTP_LIMIT(kUsesDepthMax),
          NOTP_LIMIT(kUsedModelsMax),
          NOTP_LIMIT(kSourceTextBytesMax),
          NOTP_LIMIT(kNameBytesMax),
          NOTP_LIMIT(kZoneMin),
          NOTP_LIMIT(kZoneMax),
          NOTP_LIMIT(kVersionMax),
          NOTP_LIMIT(kTimestampMsMax),
          NOTP_LIMIT(kHardSecondsMax),
          NOTP_LIMIT(kKeyidBytesMax),
          NOTP_LIMIT(kRootStepsMax),
          NOTP_LIMIT(kWithdrawnMax),
          NOTP_LIMIT(kFreshnessLifetimeMsMax),
          NOTP_LIMIT(kAssignmentLifetimeMsMax),
          NOTP_LIMIT(kAssignmentLifetimeMs),
          NOTP_LIMIT(kClockSkewMs),
          NOTP_LIMIT(kFreshnessIntervalMs),
          NOTP_LIMIT(kFreshnessLifetimeMs),
          NOTP_LIMIT(kFreshnessSoonMs),
          NOTP_LIMIT(kPendingPerLedgerMax),
          NOTP_LIMIT(kKeySetFilesMax),
          NOTP_LIMIT(kKeySetFileBytesMax),
          NOTP_LIMIT(kJoinTokenMsMax),
          NOTP_LIMIT(kJoinTokenBytesMax),
          NOTP_LIMIT(kJoinFrameBytesMax),
          NOTP_LIMIT(kJoinsMax),
          NOTP_LIMIT(kJoinFailuresMax),
          NOTP_LIMIT(kJoinFailureWindowMs),
          NOTP_LIMIT(kDenyListMax),
          NOTP_LIMIT(kCertificateRequestBytesMax),
          NOTP_LIMIT(kPemBytesMax),
          NOTP_LIMIT(kFrameBytesMax),
          NOTP_LIMIT(kFrameHeaderBytesMax),
          NOTP_LIMIT(kProtobufDepthMax),
          NOTP_LIMIT(kProtocolVersionsMax),
          NOTP_LIMIT(kIdentityBytesMax),
          NOTP_LIMIT(kChunkBytesMax),
          NOTP_LIMIT(kLedgersPerSessionMax),
          NOTP_LIMIT(kOlderBasesMax),
          NOTP_LIMIT(kErrorTextBytesMax),
          NOTP_LIMIT(kStreamsMax),
          NOTP_LIMIT(kUploadsPerSessionMax),
          NOTP_LIMIT(kInventoryLeavesMax),
          NOTP_LIMIT(kInventoryListedMax),
          NOTP_LIMIT(kLacksMax),
          NOTP_LIMIT(kInventoriesMax),
          NOTP_LIMIT(kHeldEnvelopesMax),
          NOTP_LIMIT(kHeldBytesMax),
          NOTP_LIMIT(kHeldRequestsMax),
          NOTP_LIMIT(kSilentListedMax),
          NOTP_LIMIT(kQueryRowsMax),
          NOTP_LIMIT(kHandshakeMs),
          NOTP_LIMIT(kFirstFrameMs),
          NOTP_LIMIT(kCloseMs),
          NOTP_LIMIT(kAcceptPauseMs),
          NOTP_LIMIT(kIdleMs),
          NOTP_LIMIT(kPingMs),
          NOTP_LIMIT(kTransferStallMs),
          NOTP_LIMIT(kSendQueueBytesMax),
          NOTP_LIMIT(kSessionsPerIdentityMax),
          NOTP_LIMIT(kSessionsMax),
          NOTP_LIMIT(kArtifactBytesMax),
          NOTP_LIMIT(kPathProgramBytesMax),
          NOTP_LIMIT(kSmallFileBytesMax),
          NOTP_LIMIT(kSolidBytesMax),
          NOTP_LIMIT(kZstdWindowLogMax),
          NOTP_LIMIT(kDeltaWindowLogMax),
          NOTP_LIMIT(kLedgersMax),
          NOTP_LIMIT(kRecordBytesMax),
          NOTP_LIMIT(kSegmentRecordsMax),
          NOTP_LIMIT(kSegmentContentBytesMax),
          NOTP_LIMIT(kPositionMax),
          NOTP_LIMIT(kCheckpointBytesMax),
          NOTP_LIMIT(kAnnouncementBytesMax),
          NOTP_LIMIT(kProofHashesMax),
          NOTP_LIMIT(kTreeEntryBytesMax),
          NOTP_LIMIT(kTreeSealMs),
          NOTP_LIMIT(kCosignaturesMax),
          NOTP_LIMIT(kHoldsMax),
          NOTP_LIMIT(kLogWindowBytes),
          NOTP_LIMIT(kSegmentOverheadBytes),
          NOTP_LIMIT(kSegmentChunkBytes),
          NOTP_LIMIT(kSegmentPartBytesMax),
          NOTP_LIMIT(kFilterTextBytesMax),
          NOTP_LIMIT(kFilterValuesMax),
          NOTP_LIMIT(kFilterKindsMax),
          NOTP_LIMIT(kCursorBytesMax),
          NOTP_LIMIT(kDecisionCountsMax),
          NOTP_LIMIT(kLogFaultsListedMax),
          NOTP_LIMIT(kTreeEntriesPageMax),
          NOTP_LIMIT(kFrontierBytesMax),
          NOTP_LIMIT(kErasedIdsMax),
          NOTP_LIMIT(kIssuersMax),
          NOTP_LIMIT(kIssuerNameBytesMax),
          NOTP_LIMIT(kIssuerBytesMax),
          NOTP_LIMIT(kKidBytesMax),
          NOTP_LIMIT(kIssuerKeysMax),
          NOTP_LIMIT(kSourceUrlBytesMax),
          NOTP_LIMIT(kLanesMax),
          NOTP_LIMIT(kLaneSourcesMax),
          NOTP_LIMIT(kLaneBodyBytesMax),
          NOTP_LIMIT(kMarkTextBytesMax),
          NOTP_LIMIT(kTokenAttributesBytesMax),
          NOTP_LIMIT(kUnknownKeyPauseMs),
          NOTP_LIMIT(kBackoffFirstMs),
          NOTP_LIMIT(kBackoffMaxMs)};
#undef NOTP_LIMIT
}

}  // namespace

TEST_CASE("the first page links to all other pages of the specification") {
  const std::string index = source_text("protocol/README.md");
  for (const std::string_view page : kSpecificationPages) {
    if (page == "protocol/README.md") continue;
    CAPTURE(page);
    const std::string from_protocol =
        page.starts_with("protocol/") ? std::string(page.substr(std::string("protocol/").size()))
                                      : "../" + std::string(page);
    CHECK(index.contains("](" + from_protocol + ")"));
  }
}

TEST_CASE("no limit of the protocol's sections is left out of the specification") {
  const std::string header = source_text("common/limits.hpp");
  const std::string protocol = header.substr(0, header.find("// --- registry"));
  std::map<std::string, int> written;
  for (const auto& row : table_under("## Limits")) ++written[row.at(0)];
  size_t names = 0;
  for (size_t at = 0; (at = protocol.find(" k", at)) != protocol.npos; ++at) {
    const size_t end = protocol.find_first_not_of(
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", at + 1);
    if (protocol.substr(end, 3) != " = ") continue;
    const std::string name = protocol.substr(at + 1, end - at - 1);
    CHECK_MESSAGE(written.contains(name), name);
    ++names;
  }
  CHECK(names > 40);
}

TEST_CASE("the table of limits is that of the code") {
  std::map<std::string, uint64_t> written;
  for (const auto& row : table_under("## Limits"))
    CHECK(written.emplace(row.at(0), number_of(row.at(1))).second);
  CHECK(written == protocol_limits());
}
