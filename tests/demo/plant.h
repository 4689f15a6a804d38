/* A real double free, made on purpose: one block of OpenSSL's memory, allocated by the parent,
 * freed by one worker and freed again by another. Asked for with sipd --plant. */
#ifndef SIPD_PLANT_H
#define SIPD_PLANT_H

/* In the parent, before fork. Returns 0, or -1 if there is no memory. */
int plant_prepare(void);

/* In each worker, once per connection. The first that comes waits for the second and frees, the
 * second frees again. A worker that is alone does both, on its first two connections. */
void plant_on_connection(void);

#endif
