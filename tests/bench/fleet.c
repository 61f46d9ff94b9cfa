/* Copyright (c) 2026, the octofleet.octopus authors
 * GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A fleet in one process: N certificates on N loopback addresses and one port. It asks for a client certificate,
 * accepts any, decides by thumbprint after the preamble and answers MX as contracts/halibut-wire.md 2.1 says.
 *
 *     fleet PORT KEY.pem CERTIFICATES.pem TRUSTED_THUMBPRINT_HEX [PATIENCE_IN_MILLISECONDS]
 *
 * Address 127.0.x.y serves certificate number 256 * x + y. Prints "ready" once it listens; ends with its parent's pipe.
 * With patience, a caller that is silent for so long is sent a byte and left: sslyze would wait 5 s for one at each endpoint.
 */
#include <arpa/inet.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { MOST = 8192, PREAMBLE = 6, IDENTITY = 17 };

static X509 *certificates[MOST];
static int count;
static EVP_PKEY *key;
static SSL_CTX *context;
static const char *trusted;
static struct timeval patience; /* none: for ever */

static int anybody(int ok, X509_STORE_CTX *store) {
    (void)ok, (void)store;
    return 1;
}

static int is_trusted(SSL *ssl) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int length = 0;
    char text[2 * EVP_MAX_MD_SIZE + 1] = "";
    X509 *peer = SSL_get1_peer_certificate(ssl);
    if (!peer) return 0;
    X509_digest(peer, EVP_sha1(), digest, &length);
    X509_free(peer);
    for (unsigned int i = 0; i < length; i++) sprintf(text + 2 * i, "%02X", digest[i]);
    return strcasecmp(text, trusted) == 0;
}

/* Reads exactly `wanted` bytes; 0 when the peer ended first. */
static int take(SSL *ssl, char *into, int wanted) {
    for (int got = 0, n; got < wanted; got += n)
        if ((n = SSL_read(ssl, into + got, wanted - got)) <= 0) return 0;
    return 1;
}

static void *serve(void *argument) {
    int fd = (int)(long)argument;
    struct sockaddr_in own;
    socklen_t size = sizeof own;
    char buffer[64];
    getsockname(fd, (struct sockaddr *)&own, &size);
    int number = ntohl(own.sin_addr.s_addr) & 0xffff;
    SSL *ssl = SSL_new(context);
    SSL_use_certificate(ssl, certificates[number % count]);
    SSL_use_PrivateKey(ssl, key);
    SSL_set_fd(ssl, fd);
    if (SSL_accept(ssl) == 1) {
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        if (!take(ssl, buffer, PREAMBLE)) {
            if (patience.tv_usec) SSL_write(ssl, "?", 1);
        } else if (is_trusted(ssl) && take(ssl, buffer, IDENTITY)) {
            SSL_write(ssl, "MX-SERVER 1.0\r\n\r\n", 17);
            SSL_read(ssl, buffer, sizeof buffer); /* the null message */
        }
    }
    SSL_free(ssl); /* no close_notify, ever (halibut-wire 2.3) */
    close(fd);
    return NULL;
}

static void *until_parent_ends(void *unused) {
    char byte;
    while (read(0, &byte, 1) > 0) {
    }
    exit(0);
    return unused;
}

int main(int argc, char **argv) {
    if (argc != 5 && argc != 6) return 2;
    if (argc == 6) patience.tv_usec = 1000 * atoi(argv[5]); /* less than a second */
    signal(SIGPIPE, SIG_IGN);
    trusted = argv[4];
    FILE *file = fopen(argv[2], "r");
    if (!file || !(key = PEM_read_PrivateKey(file, NULL, NULL, NULL))) return 3;
    fclose(file);
    if (!(file = fopen(argv[3], "r"))) return 3;
    while (count < MOST && (certificates[count] = PEM_read_X509(file, NULL, NULL, NULL))) count++;
    fclose(file);
    context = SSL_CTX_new(TLS_server_method());
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, anybody);
    SSL_CTX_set_session_id_context(context, (const unsigned char *)"fleet", 5);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    int listener = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1]))};
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 1024)) return 4;
    socklen_t size = sizeof address;
    getsockname(listener, (struct sockaddr *)&address, &size);
    pthread_t thread;
    pthread_attr_t detached;
    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&detached, 256 * 1024);
    pthread_create(&thread, &detached, until_parent_ends, NULL);
    printf("ready %d\n", ntohs(address.sin_port));
    fflush(stdout);
    for (;;) {
        long fd = accept(listener, NULL, NULL);
        if (fd < 0) continue;
        if (pthread_create(&thread, &detached, serve, (void *)fd)) close((int)fd);
    }
}
