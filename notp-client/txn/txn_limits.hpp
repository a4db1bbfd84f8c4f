// Limits of the Txn-Token Service (draft-ietf-oauth-transaction-tokens). A client can reach each of
// them.
#pragma once

#include <cstddef>
#include <cstdint>

#include "common/clock.hpp"

namespace notp::limits {

// --- a request
inline constexpr size_t kTxnFormBytesMax = 64 << 10;
inline constexpr size_t kTxnFormParametersMax = 32;
inline constexpr size_t kTxnSubjectTokenBytesMax = 16 << 10;
inline constexpr size_t kTxnContextBytesMax = 8 << 10;  // request_context, request_details: each
inline constexpr size_t kTxnContextDepthMax = 8;
inline constexpr size_t kTxnScopesMax = 32;
inline constexpr size_t kTxnScopeBytesMax = 128;  // of one
// Of a subject token: issuers have more and longer ones.
inline constexpr size_t kTxnSubjectScopesMax = 256;
inline constexpr size_t kTxnSubjectScopeBytesMax = 512;
inline constexpr size_t kTxnIdentifierBytesMax = 256;  // audience, client_id, jti, sub, txn

// --- assertions by which clients authenticate
inline constexpr size_t kTxnAssertionBytesMax = 16 << 10;
inline constexpr size_t kTxnAssertionCertificatesMax = 5;  // as many as TLS verifies
inline constexpr TimeMs kTxnAssertionLifeMsMax = 60'000;
// From one address, in a second: that looked well, so that their certificates had to be verified,
// and were not good. Clients behind one proxy share it.
inline constexpr size_t kTxnAssertionFailuresPerSecond = 50;
inline constexpr size_t kTxnFailingAddressesMax = 4'096;  // counted at once

// --- introspection of subject tokens
inline constexpr size_t kTxnIntrospectionBytesMax = 64 << 10;  // of an answer
inline constexpr size_t kTxnIntrospectedBytesMax = 8 << 10;    // of it that counts, and is kept
inline constexpr size_t kTxnIntrospectedMax = 4'096;           // answers kept, of one issuer

// --- a token
inline constexpr size_t kTxnTokenBytesMax = 8 << 10;  // a header field's size at most servers
// Claims as JSON: with header and signature (RSA of 4,096 bits) they fit kTxnTokenBytesMax.
inline constexpr size_t kTxnClaimsBytesMax = 5 << 10;
inline constexpr TimeMs kTxnLifeMsMax = 300'000;  // the best current practice says below 5 minutes
inline constexpr TimeMs kTxnLifeMs = 60'000;      // when the policy says nothing
inline constexpr TimeMs kTxnSkewMs = 30'000;      // how far clocks may differ
inline constexpr TimeMs kTxnSelfSignedLifeMsMax = 60'000;
inline constexpr size_t kTxnReasonBytesMax = 256;  // of a policy's refusal
inline constexpr size_t kTxnJtisMax = 100'000;  // remembered, of self-signed tokens and assertions
// Of one client: 220 in a second, each for its life and the skew. That is the default rate with one
// in a request; who authenticates by an assertion and signs its subject token, too, has two.
inline constexpr size_t kTxnJtisPerClientMax = 20'000;

// --- replacement
inline constexpr unsigned kTxnReplacementsMax = 3;
inline constexpr TimeMs kTxnReplacedLifeMsMax = 600'000;  // since the first issue

// --- grants
inline constexpr size_t kTxnGrantsMax = 1'000'000;
inline constexpr size_t kTxnGrantsPerClientMax = 100'000;  // made by one workload
inline constexpr TimeMs kTxnGrantLifeMsMax = 7LL * 24 * 3600 * 1000;
inline constexpr unsigned kTxnGrantDepthMax = 4;  // workloads that it is passed on by
inline constexpr unsigned kTxnGrantUsesMax = 16;
inline constexpr size_t kTxnGrantIdBytes = 16;               // random; 22 characters in base64url
inline constexpr TimeMs kTxnGrantRepeatMs = 30'000;          // a lost answer is given again so long
inline constexpr size_t kTxnGrantSubjectBytesMax = 2 << 10;  // claims kept for the lane
inline constexpr size_t kTxnGrantsListedMax = 500;           // on one page: 12 MB at most
inline constexpr size_t kTxnGrantsSeenMax = 10'000;          // looked at for one page
// A revocation may be repeated so long: until the last token of the grant has ended.
inline constexpr TimeMs kTxnGrantRevokedMs = kTxnReplacedLifeMsMax + 2 * kTxnSkewMs;
inline constexpr size_t kTxnGrantsSweptMax = 1'000;  // in one transaction
inline constexpr size_t kTxnGrantChangesMax = 256;   // in one transaction
inline constexpr TimeMs kTxnGrantSweepMs = 10'000;   // between two sweeps

}  // namespace notp::limits
