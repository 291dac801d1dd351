// What the seed's receiver uses of Express, for machines without npm: json() with body-parser's
// defaults (100 KiB, `strict`, a JSON content type), post(), status().json(), and 500 where a
// handler throws.
const http = require('http');

const LIMIT = 102400;

function express() {
  const steps = [];
  const handler = (req, res) => {
    res.status = (status) => {
      res.statusCode = status;
      return res;
    };
    res.json = (value) => {
      res.setHeader('Content-Type', 'application/json; charset=utf-8');
      res.end(JSON.stringify(value));
    };
    const run = (index, error) => {
      if (error) return res.status(error.status || 500).json({ error: error.message });
      if (index === steps.length) return res.status(404).json({ error: 'Not Found' });
      try {
        steps[index](req, res, (problem) => run(index + 1, problem));
      } catch (problem) {
        run(index, problem);
      }
    };
    run(0);
  };
  return {
    use: (step) => steps.push(step),
    post: (path, step) =>
      steps.push((req, res, next) =>
        req.method === 'POST' && req.url.split('?')[0] === path ? step(req, res) : next()
      ),
    listen: (...options) => http.createServer(handler).listen(...options),
  };
}

function failure(status, message) {
  return Object.assign(new Error(message), { status });
}

express.json = () => (req, res, next) => {
  const [type, ...parameters] = (req.headers['content-type'] || '').toLowerCase().split(';');
  if (type.trim() !== 'application/json') return next();
  const charset = parameters.map((each) => each.trim()).find((each) => each.startsWith('charset='));
  if (charset && !/^charset="?utf-8"?$/.test(charset)) {
    return next(failure(415, 'unsupported charset'));
  }
  if (req.headers['content-encoding']) return next(failure(415, 'encoding unsupported'));
  const chunks = [];
  let size = 0;
  req.on('data', (chunk) => {
    size += chunk.length;
    if (size <= LIMIT) chunks.push(chunk);
  });
  req.on('end', () => {
    if (size > LIMIT) return next(failure(413, 'request entity too large'));
    const text = Buffer.concat(chunks).toString('utf8');
    if (!/^[\x20\x09\x0a\x0d]*[[{]/.test(text)) return next(failure(400, 'not an object or array'));
    try {
      req.body = JSON.parse(text);
    } catch (error) {
      return next(failure(400, error.message));
    }
    next();
  });
};

module.exports = express;
