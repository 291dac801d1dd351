// Seed 004, "Node.js/Express". Its own are only: secret and port from outside, the handler that the
// seed calls and leaves out, and what stands in for Express where that is not installed.
let express;
try {
  express = require('express');
  console.log(`Express ${require('express/package.json').version}`);
} catch (error) {
  if (error.code !== 'MODULE_NOT_FOUND') throw error;
  express = require('./express-stand-in');
  console.log('Express is not installed: its stand-in is used');
}
const crypto = require('crypto');
const app = express();

const WEBHOOK_SECRET = process.env.WEBHOOK_SECRET;

app.use(express.json());

app.post('/webhook', (req, res) => {
  // Verificar assinatura
  const signature = req.headers['x-webhook-signature'];
  const payload = JSON.stringify(req.body);

  if (!verifySignature(payload, signature, WEBHOOK_SECRET)) {
    return res.status(401).json({ error: 'Assinatura inválida' });
  }

  // Processar evento
  const event = req.body;

  switch (event.event) {
    case 'cliente.criado':
      handleClienteCriado(event.data);
      break;
    case 'tarefa.criada':
      handleTarefaCriada(event.data);
      break;
    // ... outros eventos
  }

  // Retornar resposta rápida
  res.json({ success: true });
});

function verifySignature(payload, signature, secret) {
  const hmac = crypto.createHmac('sha256', secret);
  const digest = hmac.update(payload).digest('hex');
  return crypto.timingSafeEqual(
    Buffer.from(signature.replace('sha256=', ''), 'hex'),
    Buffer.from(digest, 'hex')
  );
}

function handleClienteCriado(data) {
  // Processar criação de cliente
  console.log('Novo cliente criado:', data);
}

function handleTarefaCriada(data) {
  console.log('Nova tarefa criada:', data);
}

const server = app.listen(Number(process.env.PORT || 0), '127.0.0.1', () => {
  console.log(`Webhook server running on port ${server.address().port}`);
});
